/** `/.runnel/client.js` in a browser while its gateway is killed and started again: each published message once, and in order. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask } from '../support/client.ts';
import { folderWith, type Running, startRunnel } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/processes.ts';

const PAGE = `<!doctype html><title>notes</title><script src="/.runnel/client.js"></script><script>
var messages = [], told = [];
function follow(ways) {
  window.stream = new Runnel('/notes', { transports: ways });
  stream.onmessage = function (event) { messages.push(event.data); };
  ['missed', 'end'].forEach(function (type) {
    stream.addEventListener(type, function (event) { told.push([type, event.count, event.code]); });
  });
}
</script>`;

const config = (engine: string, port: number): string => `
[[listen]]
address = "127.0.0.1:${port}"
engine = "${engine}"
[static."/"]
root = "www"
[stream."/notes"]
publish = true
history = { file = "notes", messages = 1000 }
`;

const texts = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => `note ${from + at}`);

async function publish({ port }: Running, from: number, to: number): Promise<void> {
  for (const body of texts(from, to)) assert.equal((await ask(port, '/notes', { method: 'POST', body })).status, 202);
}

describe('a page whose gateway is killed', { skip: noBrowser }, () => {
  const browser = testBrowser();
  for (const [engine, way] of [
    ['uws', 'websocket'],
    ['uws', 'events'],
    ['uws', 'poll'],
    ['node', 'websocket'],
    ['node', 'events'],
  ] as const)
    test(`gets by ${way} what came meanwhile, once (${engine})`, async (t: TestContext) => {
      const port = await freePort();
      const folder = folderWith(t, { 'runnel.toml': config(engine, port), 'www/index.html': PAGE });
      const start = (): Promise<Running> => startRunnel(t, ['serve', '-c', join(folder, 'runnel.toml')], { folder });
      const first = await start();
      await publish(first, 0, 5);
      const context = await (await browser()).newContext();
      t.after(() => context.close());
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.evaluate(`follow(['${way}'])`);
      const has = (count: number): Promise<void> =>
        until(`${count} messages`, async () => Number(await page.evaluate('messages.length')) >= count);
      await has(5);
      await publish(first, 5, 10);
      await has(10);
      await first.stop('SIGKILL');
      const second = await start();
      await publish(second, 10, 20);
      await has(20);
      await publish(second, 20, 21);
      await has(21);
      assert.deepEqual(await page.evaluate('messages'), texts(0, 21));
      assert.deepEqual(await page.evaluate('told'), []);
    });
});
