/** Pictures in Chromium: an `<img>` that changes, and the page that shows a stream of pictures with its age. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { ask } from '../support/client.ts';
import { folderWith, startGateway, startRunnel } from '../support/gateway.ts';
import { picture } from '../support/jpeg.ts';
import { PartsViewer } from '../support/parts.ts';
import { startPictureSource } from '../support/picture-source.ts';
import { until } from '../support/processes.ts';

const RED = picture([255, 0, 0], { width: 64, height: 32 });
const GREEN = picture([0, 255, 0], { width: 64, height: 32 });
const BLUE = picture([0, 0, 255], { width: 64, height: 32 });

/** Which of the three an element shows. */
async function colorOf(page: Page, selector: string): Promise<string | undefined> {
  const pixel = await page.evaluate<number[]>(`(() => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 8;
    const context = canvas.getContext('2d');
    try {
      context.drawImage(document.querySelector('${selector}'), 0, 0, 8, 8);
    } catch {
      return [];
    }
    return [...context.getImageData(4, 4, 1, 1).data];
  })()`);
  const [red = 0, green = 0, blue = 0] = pixel;
  if (red > 200 && green < 60 && blue < 60) return 'red';
  if (green > 200 && red < 60 && blue < 60) return 'green';
  return blue > 200 && red < 60 && green < 60 ? 'blue' : undefined;
}

describe('pictures in a browser', { skip: noBrowser }, () => {
  const browser = testBrowser();

  for (const engine of ['uws', 'node'])
    test(`an <img> shows each picture, the last of all too (${engine})`, async (t) => {
      const source = await startPictureSource(t);
      const running = await startGateway(t, {
        config: `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n[static."/"]\nroot = "www"\n[stream."/cam"]\nsubscribe = "tcp://127.0.0.1:${source.port}"\nframing = "jpeg"\n`,
        files: { 'www/index.html': '<!doctype html><img id="picture" src="cam" alt="">' },
      });
      const page = await (await browser()).newPage();
      await page.goto(running.url('/'), { waitUntil: 'commit' });
      await until('the source', () => source.sockets.size > 0);
      for (const [color, bytes] of [
        ['red', RED],
        ['green', GREEN],
        ['blue', BLUE],
      ] as const) {
        source.say(bytes);
        await until(color, async () => (await colorOf(page, '#picture')) === color);
      }
      await page.close();
      assert.equal(await running.stop(), 0);
    });

  test('the page shows the newest picture, its age, and that the source is away', async (t) => {
    const source = await startPictureSource(t);
    const running = await startGateway(t, {
      config: `[[listen]]\naddress = "127.0.0.1:0"\n[stream."/cam"]\nsubscribe = "tcp://127.0.0.1:${source.port}"\nframing = "jpeg"\n`,
    });
    const page = await (await browser()).newPage();
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    const text = (id: string): Promise<string | null> => page.textContent(id);
    await page.goto(running.url('/.runnel/picture?stream=../cam'));
    assert.match((await text('#words')) ?? '', /Waiting for the first picture/);
    await until('the source', () => source.sockets.size > 0);
    source.say(RED);
    await until('red', async () => (await colorOf(page, '#picture')) === 'red');
    source.say(Buffer.concat([GREEN, BLUE]));
    await until('blue', async () => (await colorOf(page, '#picture')) === 'blue');
    assert.equal(await text('#size'), '64 × 32');
    assert.match((await text('#age')) ?? '', /^\d+(\.\d)? s$/);
    // Nothing more comes: how old what is shown is.
    await until('stalled', async () => /^\d.* s old$/.test((await text('#state')) ?? ''));
    source.leave();
    await until('away', async () => /^the source of this stream fails/.test((await text('#words')) ?? ''));
    assert.equal(await page.getAttribute('body', 'class'), 'away');
    // Whoever comes now sees the last one, and that it is old.
    const late = await (await browser()).newPage();
    await late.goto(running.url('/.runnel/picture?stream=../cam'));
    await until('blue', async () => (await colorOf(late, '#picture')) === 'blue');
    await until('what is wrong', async () => /fails/.test((await late.textContent('#words')) ?? ''));
    assert.deepEqual(problems, []);
    await page.close();
    await late.close();
    assert.equal(await running.stop(), 0);
  });

  test('run --framing jpeg serves that page to browsers, and pictures to an <img> in it', async (t) => {
    const folder = folderWith(t, { 'red.jpg': RED });
    const running = await startRunnel(
      t,
      ['run', '-l', '127.0.0.1:0', '--framing', 'jpeg', '--', 'sh', '-c', 'cat red.jpg; exec sleep 1000'],
      { folder },
    );
    const page = await (await browser()).newPage();
    await page.goto(running.url('/'));
    await until('red', async () => (await colorOf(page, '#picture')) === 'red');
    await page.close();
    const viewer = await PartsViewer.open(running.port, '/', { accept: 'image/*' });
    assert.deepEqual((await viewer.next()).data, RED);
    viewer.close();
    assert.equal((await ask(running.port, '/?transport=last')).headers['content-type'], 'image/jpeg');
    assert.equal((await ask(running.port, '/', { method: 'POST', body: 'x' })).status, 405);
    await running.stop('SIGINT');
  });
});
