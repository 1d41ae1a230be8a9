/** Behind a proxy that shows runnel below a path: pages, redirects, streams and the demo, whether the path is taken off or kept, told or not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { soon, startProxy } from '../support/proxy.ts';
import { proxyArgs, WAYS } from '../support/ways-below-a-path.ts';

const demo = fileURLToPath(new URL('../../../config/demo', import.meta.url));
const CONFIG = (connections: string): string => `
[[listen]]
address = "127.0.0.1:0"
[connections]
trusted_proxies = ["127.0.0.1"]
${connections}
[static."/"]
root = ${JSON.stringify(join(demo, 'www'))}
[static."/files/"]
root = "files"
listing = true
[cgi."/cgi-bin/"]
root = ${JSON.stringify(join(demo, 'cgi-bin'))}
[stream."/live/machine"]
command = [${JSON.stringify(join(demo, 'live.sh'))}]
share = "all"
history = 60
[stream."/live/clock"]
command = [${JSON.stringify(join(demo, 'clock.sh'))}]
share = "all"
framing = "jpeg"
[stream."/live/echo"]
command = ["cat"]
`;

describe('below a path', () => {
  const browser = testBrowser();
  for (const { what, program, prefix, connections = '', config } of WAYS)
    test(what, async (t) => {
      if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return t.skip(`needs ${program}`);
      const gateway = await startGateway(t, {
        config: CONFIG(connections),
        files: { 'files/sub/a b.txt': 'a file', 'files/c:d/e.txt': 'another' },
      });
      const port = await freePort();
      const folder = folderWith(t, { conf: config(port, `127.0.0.1:${gateway.port}`) });
      const path = join(folder, 'conf');
      const noise = startProxy(t, program, proxyArgs(program, folder, path), { ...process.env, HOME: folder });
      const base = `http://127.0.0.1:${port}${prefix}`;
      const get = async (url: string): Promise<{ status: number; url: string; text: string }> => {
        const reply = await fetch(url);
        return { status: reply.status, url: reply.url, text: await reply.text() };
      };
      await soon(async () => assert.equal((await get(`${base}/`)).status, 200), noise);

      // Redirects lead below it, wherever they come from and however the path is spelled.
      for (const [asked, there] of [
        ['/files', '/files/'],
        ['/files/sub?x=1', '/files/sub/?x=1'],
        ['/files/c:d', '/files/c:d/'],
      ] as const)
        assert.deepEqual(
          { ...(await get(`${base}${asked}`)), text: '' },
          { status: 200, url: `${base}${there}`, text: '' },
        );
      const listing = await get(`${base}/files/sub/`);
      const [up, file] = [...listing.text.matchAll(/href="([^"]+)"/g)].map(
        ([, href = '']) => new URL(href, listing.url).href,
      );
      assert.equal(up, `${base}/files/`);
      assert.equal((await get(file ?? '')).text, 'a file');
      for (const path of ['/none', '/files/sub/none']) {
        const missing = await ask(port, `${prefix}${path}`, { headers: { accept: 'text/html' } });
        assert.equal(missing.status, 404);
        const links = [...missing.body.matchAll(/(?:href|src)="([^"]*)"/g)].map(
          ([, to = '']) => new URL(to, base + path).href,
        );
        assert.deepEqual(links, [`${base}/`]);
      }

      const socket = await TestSocket.open(`${base.replace('http', 'ws')}/live/echo`, {
        origin: `http://127.0.0.1:${port}`,
      });
      socket.ws.send('through');
      assert.deepEqual(await socket.first(1), ['through']);
      socket.ws.close();
      await socket.closed;

      if (noBrowser !== false) return t.skip(noBrowser);
      const page = await (await browser()).newPage();
      const wrong: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') wrong.push(message.text());
      });
      page.on('pageerror', (error) => wrong.push(String(error)));
      page.on('response', (response) => {
        if (response.status() >= 400) wrong.push(`${response.status()} ${response.url()}`);
      });
      await page.goto(`${base}/`);
      await page.waitForFunction("document.getElementById('raw').textContent.length > 40");
      assert.deepEqual(wrong, []);
      await page.close();
    });
});
