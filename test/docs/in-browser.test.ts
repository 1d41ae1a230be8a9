/** The pages and scripts of docs/start.md and docs/tasks/, in a browser, with the routes that stand beside them on the page. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { fakePicture } from '../support/cameras.ts';
import { startGateway } from '../support/gateway.ts';
import { readPage } from './pages.ts';

const first = (page: string, language: string): string =>
  readPage(page).blocks.find((block) => block.language === language)?.text ?? '';
const file = (page: string, name: string): string =>
  readPage(page).blocks.find((block) => block.file === name)?.text ?? '';

/** Without its listener. */
const routes = (page: string): string => file(page, 'runnel.toml').replace(/\[\[listen\]\]\n.*\n/, '');

const CONFIG = `[[listen]]
address = "127.0.0.1:0"
${routes('docs/start.md')}
${routes('docs/tasks/command.md')}
${routes('docs/tasks/old-cgi.md')}
${routes('docs/tasks/camera.md')}
[stream."/live/sensors"]
command = ["sh", "-c", '''echo '{"topic":"sensors/room","payload":"21.5"}'; exec sleep 1000''']
share = "all"
history = 1
`;
const ICON = '<!doctype html><link rel="icon" href="data:,">';
const FILES = {
  'clock.sh': file('docs/start.md', 'clock.sh'),
  'cgi-bin/status.cgi': file('docs/tasks/old-cgi.md', 'cgi-bin/status.cgi'),
  'test.jpg': fakePicture(1, 2000),
  'www/index.html': file('docs/start.md', 'www/index.html'),
  'www/command.html': `${ICON}${first('docs/tasks/command.md', 'html')}`,
  'www/old-cgi.html': `${ICON}<p id="status"></p><script>${first('docs/tasks/old-cgi.md', 'js')}</script>`,
  'www/mqtt.html': `${ICON}<script>${first('docs/tasks/mqtt.md', 'js')}</script>`,
};

describe('the pages of the first page and of the tasks', { skip: noBrowser }, () => {
  const browser = testBrowser();

  test('show what their streams say, without an error in the console', async (t) => {
    const { port } = await startGateway(t, { config: CONFIG, files: FILES });
    const page = await (await browser()).newPage();
    const said: string[] = [];
    const errors: string[] = [];
    page.on('console', (message) => (message.type() === 'error' ? errors : said).push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    const shows = async (name: string, selector: string, wanted: string): Promise<void> => {
      await page.goto(`http://127.0.0.1:${port}/${name}`);
      await page
        .locator(selector)
        .filter({ hasText: new RegExp(wanted) })
        .waitFor({ timeout: 60_000 });
    };
    await shows('', '#now', '^\\d\\d:\\d\\d:\\d\\d$');
    await shows('command.html', '#out', 'procs|\\d+ +\\d+ +\\d+');
    await shows('old-cgi.html', '#status', 'load average');
    const logged = page.waitForEvent('console', { timeout: 60_000 });
    await page.goto(`http://127.0.0.1:${port}/mqtt.html`);
    assert.equal((await logged).text(), 'sensors/room 21.5');
    assert.deepEqual(errors, []);
    await page.close();
  });
});
