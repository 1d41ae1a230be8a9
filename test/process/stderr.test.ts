import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { Spawner } from '../../src/process/spawn.ts';
import { StderrLines, type StderrOptions } from '../../src/process/stderr.ts';
import { until } from '../support/processes.ts';
import { collect, keepAlive, makeSpawner, shell } from './support.ts';

async function read(chunks: readonly (string | Buffer)[], options: Omit<StderrOptions, 'line'> = {}) {
  const told: string[] = [];
  const stream = new PassThrough();
  const lines = new StderrLines(stream, { ...options, line: (text) => told.push(text) });
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await once(stream, 'close');
  return { told, last: lines.lastLines, dropped: lines.dropped };
}

describe('lines of stderr', () => {
  const eight = { maxLine: 8 };
  const cases: readonly {
    readonly what: string;
    readonly chunks: readonly (string | Buffer)[];
    readonly options?: Omit<StderrOptions, 'line'>;
    readonly told: readonly string[];
  }[] = [
    { what: 'nothing', chunks: [], told: [] },
    { what: 'lines in one chunk', chunks: ['a\nb\n'], told: ['a', 'b'] },
    { what: 'an empty line', chunks: ['a\n\nb\n'], told: ['a', '', 'b'] },
    { what: 'a line in many chunks', chunks: ['a', 'b', 'c\nd', '\n'], told: ['abc', 'd'] },
    { what: 'a last line without its end', chunks: ['a\nb'], told: ['a', 'b'] },
    { what: 'CRLF', chunks: ['a\r', '\nb\r\n'], told: ['a', 'b'] },
    { what: 'a character cut in two', chunks: [Buffer.from([0xc3]), Buffer.from([0xa4, 0x0a])], told: ['ä'] },
    { what: 'not UTF-8', chunks: [Buffer.from([0xff, 0x0a])], told: ['\ufffd'] },
    { what: 'exactly as long as may be', chunks: ['12345678\n1\n'], options: eight, told: ['12345678', '1'] },
    { what: 'too long by one', chunks: ['123456789\n1\n'], options: eight, told: ['12345678 … (cut)', '1'] },
    {
      what: 'too long in many chunks',
      chunks: ['12345', '67890', 'abcdef', 'gh\n1\n'],
      options: eight,
      told: ['12345678 … (cut)', '1'],
    },
    { what: 'too long without an end', chunks: ['1234567890'], options: eight, told: ['12345678 … (cut)'] },
    {
      what: 'too many in a second',
      chunks: ['1\n2\n3\n4\n5\n'],
      options: { linesPerSecond: 2 },
      told: ['1', '2', '(3 more lines in this second were dropped)'],
    },
  ];
  for (const { what, chunks, options, told } of cases) {
    test(what, async () => assert.deepEqual((await read(chunks, options)).told, told));
  }

  test('a line before its end, and of one that is overwritten what is visible', async () => {
    const told: string[] = [];
    const stream = new PassThrough();
    const lines = new StderrLines(stream, {
      line: (text) => told.push(text),
      maxLine: 8,
      partial: (text) => told.push(`${text}…`),
    });
    stream.write('go\n10 %');
    await until('it is told', () => told.includes('10 %…'));
    for (let percent = 11; percent < 90; percent++) stream.write(`\r${percent} %`);
    await until('the last one is told', () => told.some((text) => text.endsWith('89 %…')));
    stream.end('\r100 %\n');
    await once(stream, 'close');
    assert.equal(told[0], 'go');
    assert.match(told.at(-1) ?? '', /^(89 %\r)?100 %$/);
    assert.deepEqual(lines.lastLines.slice(0, 1), ['go']);
  });

  test('the last lines are kept, told or not', async () => {
    const { last, dropped } = await read(['1\n2\n3\n4\n5'], { keep: 3, linesPerSecond: 1 });
    assert.deepEqual(last, ['3', '4', '5']);
    assert.equal(dropped, 4);
  });

  test('the last lines include one that is not finished', () => {
    const stream = new PassThrough();
    const lines = new StderrLines(stream, { line: () => undefined, keep: 2 });
    stream.write('1\n2\n3');
    stream.read();
    assert.deepEqual(lines.lastLines, ['2', '3']);
    stream.destroy();
  });
});

describe('stderr of a program', { timeout: 60_000 }, () => {
  let spawner: Spawner;
  let release: () => void;
  before(() => {
    release = keepAlive();
    spawner = makeSpawner('posix');
  });
  after(async () => {
    await spawner.close();
    release();
  });

  test('20 MB without a newline do not block it and are not kept', async () => {
    const child = await spawner.spawn(shell('head -c 20000000 /dev/zero | tr "\\0" x >&2; echo; echo end >&2; exit 6'));
    const told: string[] = [];
    if (child.stderr === undefined) throw new Error('no stderr');
    const lines = new StderrLines(child.stderr, { line: (text) => told.push(text), maxLine: 100 });
    child.stdout.resume();
    assert.deepEqual(await child.exited, { code: 6, signal: undefined });
    await collect(child.stderr);
    assert.deepEqual(told, [`${'x'.repeat(100)} … (cut)`]);
    assert.deepEqual(lines.lastLines, told);
  });
});
