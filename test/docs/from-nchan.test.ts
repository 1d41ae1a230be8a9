/** docs/from-nchan.md: the location of nginx on the page, and the stream that takes its place, do the same for the same requests. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask } from '../support/client.ts';
import { EventClient } from '../support/event-stream.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { NGINX } from '../support/nginx.ts';
import { until } from '../support/processes.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { readPage } from './pages.ts';

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const { blocks } = readPage('docs/from-nchan.md');
const block = (wanted: string): string => blocks.find(({ language }) => language === wanted)?.text ?? '';

/** @returns its port */
async function startNchan(t: TestContext): Promise<number> {
  const folder = folderWith(t, {
    'nginx.conf': `load_module ${NCHAN};
daemon off;
worker_processes 1;
user root;
error_log stderr crit;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen unix:nginx.sock;
    ${block('nginx')}
  }
}
`,
  });
  const child = spawn(NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let noise = '';
  child.stderr.on('data', (bytes: Buffer) => {
    noise += bytes.toString();
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
  });
  const socket = join(folder, 'nginx.sock');
  await until('nginx listens', () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${noise}`);
    return existsSync(socket);
  });
  return (await tcpProxy(t, { to: socket })).port;
}

test('publishers and subscribers need no change', async (t) => {
  if (!existsSync(NGINX) || !existsSync(NCHAN)) return t.skip('needs nginx with nchan');
  const config = block('toml').replace(':8080', '127.0.0.1:0');
  const [before, { port: after }] = await Promise.all([startNchan(t), startGateway(t, { config })]);
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
