/** The page of `runnel run` behind a proxy that shows it below a path, which it is told by nobody but the address bar. Needs Chromium. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { folderWith, startRunnel } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { soon, startProxy } from '../support/proxy.ts';
import { proxyArgs, WAYS } from '../support/ways-below-a-path.ts';

describe('the page of `runnel run` below a path', { skip: noBrowser }, () => {
  const browser = testBrowser();
  for (const { what, program, prefix, connections, config } of WAYS)
    test(what, async (t) => {
      if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return t.skip(`needs ${program}`);
      const folder = folderWith(t, {});
      // A path that the proxy leaves in is taken off for a proxy that is believed, as everybody behind a Unix socket is.
      const socket = connections === undefined ? undefined : join(folder, 'run.sock');
      const listen = socket === undefined ? '127.0.0.1:0' : `unix:${socket}`;
      const command = ['sh', '-c', 'echo "the program speaks"; exec cat'];
      const gateway = await startRunnel(t, ['run', '-l', listen, '--', ...command], { folder });
      chmodSync(folder, 0o755);
      if (socket !== undefined) chmodSync(socket, 0o777);
      const port = await freePort();
      const files = folderWith(t, { conf: config(port, socket === undefined ? `127.0.0.1:${gateway.port}` : listen) });
      const noise = startProxy(t, program, proxyArgs(program, files, join(files, 'conf')), {
        ...process.env,
        HOME: files,
      });
      // Caddy's `/board/*` is not `/board`, and nginx leads from there to `/board/`.
      const url = `http://127.0.0.1:${port}${prefix}/`;
      await soon(async () => assert.equal((await fetch(url, { headers: { accept: '*/*' } })).status, 200), noise);

      const page = await (await browser()).newPage();
      const wrong: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') wrong.push(message.text());
      });
      page.on('pageerror', (error) => wrong.push(String(error)));
      page.on('response', (response) => {
        if (response.status() >= 400) wrong.push(`${response.status()} ${response.url()}`);
      });
      await page.goto(url);
      // Not by functions that the page would evaluate: its policy allows no eval.
      const lines = page.locator('#lines');
      await soon(async () => assert.match(await lines.innerText(), /the program speaks/), noise);
      await page.locator('#input').fill('a line for it');
      await page.locator('#input').press('Enter');
      // What was typed is shown, and comes back from `cat`.
      await soon(async () => assert.equal((await lines.innerText()).split('a line for it').length, 3), noise);
      assert.deepEqual(wrong, []);
      await page.close();
    });
});
