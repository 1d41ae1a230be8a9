/** docs/from-nchan.md: the location of nginx on the page, and the stream that takes its place, do the same for the same requests. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { ask } from '../support/client.ts';
import { EventClient } from '../support/event-stream.ts';
import { startGateway } from '../support/gateway.ts';
import { NGINX, startNginx } from '../support/nginx.ts';
import { readPage } from './pages.ts';

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const { blocks } = readPage('docs/from-nchan.md');
const block = (wanted: string): string => blocks.find(({ language }) => language === wanted)?.text ?? '';

test('publishers and subscribers need no change', async (t) => {
  if (!existsSync(NGINX) || !existsSync(NCHAN)) return t.skip('needs nginx with nchan');
  const config = block('toml').replace(':8080', '127.0.0.1:0');
  const [before, { port: after }] = await Promise.all([
    startNginx(t, block('nginx'), [NCHAN]),
    startGateway(t, { config }),
  ]);
  for (const port of [before, after]) {
    for (const body of ['first', 'second']) {
      const { status } = await ask(port, '/board', { method: 'POST', body });
      assert.ok(status >= 200 && status < 300, `${status}`);
    }
    // Both give a new subscriber what they have kept, and then what comes.
    const subscriber = await EventClient.open(port, '/board');
    assert.deepEqual(await subscriber.first(2), ['first', 'second']);
    await ask(port, '/board', { method: 'POST', body: 'third' });
    assert.deepEqual(await subscriber.first(3), ['first', 'second', 'third']);
    subscriber.close();
  }
});
