/** The pages that the sample configurations serve: whole with what each of them offers, and charts that draw no line that was not measured. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { noBrowser, testBrowser } from '../support/browser.ts';
import { startGateway } from '../support/gateway.ts';

const CONFIG = join(import.meta.dirname, '../../../config');

/** A sample configuration, on a free port of this machine, from wherever it is read. */
function sample(name: string): string {
  return readFileSync(join(CONFIG, name), 'utf8')
    .replaceAll(/^(address|listen) = ".*"/gm, '$1 = "127.0.0.1:0"')
    .replaceAll('"demo/', `"${CONFIG}/demo/`)
    .replace('"../dist/site"', JSON.stringify(join(CONFIG, 'demo/www')));
}

describe('a sample page', { skip: noBrowser }, () => {
  const browser = testBrowser();
  const cases = [
    { config: 'minimal.toml', live: '#load' },
    { config: 'demo.toml', live: '.live [data-cpu]' },
  ];
  for (const { config, live } of cases)
    test(`${config}: has everything that it asks for, on a phone and on a desk, light and dark`, async (t) => {
      const gateway = await startGateway(t, { config: sample(config) });
      for (const [width, height] of [
        [390, 844],
        [1280, 900],
      ] as const)
        for (const colorScheme of ['light', 'dark'] as const) {
          const context = await (await browser()).newContext({ viewport: { width, height }, colorScheme });
          const page = await context.newPage();
          const errors: string[] = [];
          page.on('console', (message) => errors.push(message.text()));
          page.on('pageerror', (error) => errors.push(error.message));
          page.on('response', (response) => {
            if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
          });
          await page.goto(gateway.url('/'));
          await page.locator(live).filter({ hasText: /\d/ }).first().waitFor({ timeout: 60_000 });
          assert.deepEqual(errors, [], `${width} ${colorScheme}`);
          assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= width);
          await context.close();
        }
    });
});

interface Chart {
  add(time: number, value: number | null): void;
  draw(now: number, top?: number): void;
  clear(): void;
}

/** Whatever of a canvas' context is called: the names and the arguments. */
function recorder(): { readonly calls: [string, number[]][]; readonly canvas: object } {
  const calls: [string, number[]][] = [];
  const context = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...args: number[]) =>
          void calls.push([String(name), args]),
    },
  );
  return { calls, canvas: { getContext: () => context, clientWidth: 300, clientHeight: 60 } };
}

async function chartOf(canvas: object, flowing: boolean): Promise<Chart> {
  Object.assign(globalThis, {
    ResizeObserver: class {
      observe(): void {}
    },
  });
  const module: { Chart: new (canvas: object, flowing: boolean) => Chart & { width: number; height: number } } =
    await import(pathToFileURL(join(CONFIG, 'demo/www/chart.js')).href);
  const chart = new module.Chart(canvas, flowing);
  return Object.assign(chart, { width: 300, height: 60 });
}

/** Of each line that is drawn, the places from left to right of its points. The grid's lines are straight across. */
function lines(calls: readonly (readonly [string, readonly number[]])[]): number[][] {
  const drawn: number[][] = [];
  let isFilled = true;
  for (const [name, args] of calls) {
    if (name === 'beginPath') isFilled = false;
    // What follows a stroke closes the area below the line.
    if (name === 'stroke') isFilled = true;
    if (isFilled) continue;
    if (name === 'moveTo') drawn.push([args[0] ?? Number.NaN]);
    if (name === 'lineTo' || name === 'bezierCurveTo') drawn.at(-1)?.push(args.at(-2) ?? Number.NaN);
  }
  return drawn.slice(3);
}

describe('the chart of the demo', () => {
  for (const flowing of [true, false]) {
    test(`${flowing ? 'flowing' : 'stepping'}: the line never goes back, whatever the order of the samples`, async () => {
      const { calls, canvas } = recorder();
      const chart = await chartOf(canvas, flowing);
      for (const time of [1000, 1500, 1400, 1500, 2000, 500, 2500]) chart.add(time, 0.5);
      chart.draw(2600, 1);
      const [line = [], ...more] = lines(calls);
      assert.equal(more.length, 0);
      assert.deepEqual(
        line,
        [...line].sort((a, b) => a - b),
      );
      assert.equal(new Set(line).size, 4);
    });

    test(`${flowing ? 'flowing' : 'stepping'}: nothing is drawn across a gap`, async () => {
      const { calls, canvas } = recorder();
      const chart = await chartOf(canvas, flowing);
      for (const time of [1000, 1500]) chart.add(time, 0.5);
      chart.add(1500, null);
      for (const time of [9000, 9500]) chart.add(time, 0.5);
      chart.draw(9600, 1);
      assert.equal(lines(calls).length, 2);
    });
  }
});

/** As much of a page's elements as one side uses. */
function element(): object {
  const made: { [name: string]: unknown } = { dataset: {}, style: {}, children: [], textContent: '' };
  return Object.assign(made, {
    classList: { add() {}, toggle() {} },
    getContext: () => recorder().canvas,
    querySelector: () => element(),
    append() {},
    cloneNode: () => element(),
  });
}

describe('a side of the demo', () => {
  const line = (uptime: number) =>
    JSON.stringify({ uptime, load: [1, 1, 1], tasks: [1, 2], memory: [4, 2], cpu: [], net: {}, temperature: null });

  /** What is in the chart of the load, point by point, in seconds since the machine's start; null is a gap. */
  async function pointsOf(
    samples: readonly (readonly [uptime: number, arrival: number])[],
  ): Promise<(number | null)[]> {
    Object.assign(globalThis, {
      ResizeObserver: class {
        observe(): void {}
      },
    });
    const from = (name: string): Promise<Record<string, new (...args: unknown[]) => unknown>> =>
      import(pathToFileURL(join(CONFIG, 'demo/www', name)).href);
    const { MachineClock } = await from('clock.js');
    const { Side } = await from('side.js');
    assert(MachineClock !== undefined && Side !== undefined);
    const template = { content: { firstElementChild: element() } };
    const options = { kind: 'live', title: '', way: '', liveWord: '', flowing: true, pause: 3000 };
    const side = new Side(template, new MachineClock(), options) as {
      take(text: string, now: number): void;
      charts: Map<string, { points: { time: number; value: number | null }[] }>;
    };
    for (const [uptime, arrival] of samples) side.take(line(uptime), arrival);
    return (side.charts.get('load')?.points ?? []).map(({ time, value }) => (value === null ? null : time / 1000));
  }

  const cases: readonly {
    what: string;
    samples: readonly (readonly [number, number])[];
    points: readonly (number | null)[];
  }[] = [
    {
      what: 'a first line that was late does not stand behind the ones after it',
      samples: [
        [100, 9000],
        [100.5, 9010],
        [101, 9020],
        [101.5, 9500],
      ],
      points: [100, 100.5, 101, 101.5],
    },
    {
      what: 'an outage breaks the line',
      samples: [
        [100, 1000],
        [100.5, 1500],
        [110, 11_000],
        [110.5, 11_500],
      ],
      points: [100, 100.5, null, 110, 110.5],
    },
    {
      what: 'a line that comes twice stands there once',
      samples: [
        [100, 1000],
        [100, 1001],
        [100.5, 1500],
      ],
      points: [100, 100.5],
    },
    {
      what: 'a machine that was restarted begins anew',
      samples: [
        [1000, 1000],
        [1000.5, 1500],
        [5, 61_000],
        [5.5, 61_500],
      ],
      points: [5, 5.5],
    },
  ];
  for (const { what, samples, points } of cases)
    test(what, async () => assert.deepEqual(await pointsOf(samples), points));
});
