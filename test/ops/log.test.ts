/** The log before a reader who does not read, and what of a message reaches a terminal. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Log } from '../../src/ops/log.ts';
import { visible } from '../../src/ops/visible.ts';
import { folderWith, startGateway } from '../support/gateway.ts';

const HOSTILE: readonly (readonly [name: string, text: string, shown: string])[] = [
  ['C0', '\x1b]0;owned\x07\n', '\\u001b]0;owned\\u0007\\u000a'],
  ['DEL', 'a\x7fb', 'a\\u007fb'],
  ['C1: CSI as one character', '\x9b2J\x80\x9f', '\\u009b2J\\u0080\\u009f'],
  ['bidi marks', '\u061c\u200e\u200f', '\\u061c\\u200e\\u200f'],
  ['bidi embeddings and overrides', '\u202a\u202b\u202c\u202d\u202e', '\\u202a\\u202b\\u202c\\u202d\\u202e'],
  ['bidi isolates', '\u2066\u2067\u2068\u2069', '\\u2066\\u2067\\u2068\\u2069'],
  ['line and paragraph separators', '\u2028\u2029', '\\u2028\\u2029'],
  ['tags, which say something that nobody sees', 'a\u{e0021}b', 'a\\udb40\\udc21b'],
  ['soft hyphens and annotations', 'a\xadb\ufff9', 'a\\u00adb\\ufff9'],
  ['invisible ones', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
  ['halves of surrogate pairs', 'a\ud800b\udc00\ud83d', 'a\\ud800b\\udc00\\ud83d'],
  ['and what is only unusual stays', 'é ü 日本 😀 עברית "\\', 'é ü 日本 😀 עברית "\\'],
];

for (const [name, text, shown] of HOSTILE) test(`visible: ${name}`, () => assert.equal(visible(text), shown));

for (const format of ['plain', 'json'] as const) {
  test(`nothing that a terminal obeys is in a ${format} line, whatever a message and its fields have`, async (t) => {
    const path = join(folderWith(t, {}), 'log');
    const descriptor = openSync(path, 'w');
    const log = new Log({ format, level: 'info', colour: false, descriptor });
    const all = HOSTILE.map(([, text]) => text).join('');
    log.info(all, { bare: '\x9b\u202e\u2028', quoted: `${all} ` });
    await log.flush();
    closeSync(descriptor);
    const written = readFileSync(path, 'utf8');
    assert.equal(written.replace(/\n$/, ''), visible(written.replace(/\n$/, '')));
    assert.ok(!written.includes('\ufffd'));
    if (format === 'json') assert.equal(JSON.parse(written).message, all);
  });
}

/** An output that nobody reads until somebody is asked to. */
interface Unread {
  readonly descriptor: number;
  read(): Socket;
  close(): void;
}

function pipe(folder: string): Unread {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const descriptor = openSync(path, 'r+');
  const { O_RDONLY, O_NONBLOCK } = constants;
  // Not as a file: Node would wait in a read of it for ever.
  const read = () => new Socket({ fd: openSync(path, O_RDONLY | O_NONBLOCK), readable: true, writable: false });
  return { descriptor, read, close: () => closeSync(descriptor) };
}

async function socket(folder: string): Promise<Unread> {
  const path = join(folder, 'socket');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const client = connect(path);
  const [peer] = await once(server, 'connection');
  server.close();
  const { fd } = (client as unknown as { readonly _handle: { readonly fd: number } })._handle;
  return { descriptor: fd, read: () => peer, close: () => client.destroy() };
}

for (const [what, open] of [
  ['pipe', pipe],
  ['socket', socket],
] as const) {
  test(`lines that nobody reads from a ${what} are dropped and counted, and the log says how many`, {
    timeout: 30_000,
  }, async (t) => {
    const folder = folderWith(t, {});
    const unread = await open(folder);
    const log = new Log({ format: 'json', level: 'info', colour: false, descriptor: unread.descriptor });
    let lines = 0;
    // The first time it begins to write, and cannot go on; the second time it only gathers.
    for (const attempt of ['first', 'second']) {
      for (let left = 3000; left > 0; left--, lines++) log.info('x'.repeat(1000));
      assert.ok(log.dropped > 0, attempt);
      await log.flush();
    }
    const written: { level: string; message: string; dropped?: number }[] = [];
    const source = unread.read();
    const last = new Promise<void>((resolve) => {
      createInterface(source).on('line', (line) => {
        written.push(JSON.parse(line));
        if (written.at(-1)?.message === 'and on') resolve();
      });
    });
    await log.flush();
    log.info('and on');
    await last;
    source.destroy();
    unread.close();
    const told = written.filter(({ level }) => level === 'warn').map(({ dropped = 0 }) => dropped);
    assert.equal(
      told.reduce((sum, count) => sum + count, 0),
      log.dropped,
    );
    assert.equal(written.length, lines + 1 - log.dropped + told.length);
    assert.deepEqual(
      written.slice(-2).map(({ message }) => message),
      ['log lines were dropped, because the log was not read in time or could not be written', 'and on'],
    );
  });
}

test('a gateway whose log nobody reads serves, and TERM ends it', { timeout: 60_000 }, async (t) => {
  const gateway = await startGateway(t, {
    config: '[[listen]]\naddress = "127.0.0.1:0"\n[static."/"]\nroot = "."\n',
    files: { 'page.txt': 'hello' },
  });
  gateway.process.stdout?.pause();
  const name = 'n'.repeat(2000);
  for (let left = 700; left > 0; left--) {
    const answer = await fetch(gateway.url(`/${name}`));
    await answer.arrayBuffer();
    assert.equal(answer.status, 404);
  }
  assert.equal(await (await fetch(gateway.url('/page.txt'))).text(), 'hello');
  const exited = once(gateway.process, 'exit');
  gateway.process.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
});
