/** `runnel connect` as a process: its stdout, its stderr and its exit status, before the gateway and other servers. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { wsServer } from '../client/support.ts';
import { folderWith, startGateway } from '../support/gateway.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const CONFIG = `[[listen]]
address = "127.0.0.1:0"
[stream."/echo"]
command = ["cat"]
[stream."/sort"]
command = ["sort"]
eof_message = "EOF"
[stream."/raw"]
command = ["cat"]
framing = "raw"
[stream."/numbers"]
command = ["seq", "1", "5"]
[stream."/fail"]
command = ["sh", "-c", "echo one; exit 3"]
[stream."/shared"]
command = ["cat"]
share = "all"
history = 100
[stream."/closed"]
command = ["cat"]
auth = { tokens = "tokens" }
`;
const FILES = { tokens: 'board:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n' };

class Command {
  stdout = '';
  stderr = '';
  readonly ended: Promise<number | null>;

  constructor(
    readonly child: ChildProcessWithoutNullStreams,
    t: TestContext,
  ) {
    child.stdout.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    child.stdin.on('error', () => undefined);
    this.ended = once(child, 'close').then(([code]) => code as number | null);
    t.after(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await this.ended;
    });
  }
}

function start(t: TestContext, ...args: string[]): Command {
  return new Command(spawn(process.execPath, [MAIN, 'connect', ...args]), t);
}

test('a line of stdin is a message, and a message is a line of stdout; nothing else is said', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const command = start(t, gateway.url('/echo'));
  command.child.stdin.write('one\nzwei ü\n');
  await until(() => command.stdout === 'one\nzwei ü\n', 'the echo');
  command.child.kill('SIGTERM');
  assert.equal(await command.ended, 143);
  assert.deepEqual([command.stdout, command.stderr], ['one\nzwei ü\n', '']);
});

test('the program behind a stream gets the end of stdin, and the exit status says how it ended', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const sorted = start(t, '--eof', 'EOF', gateway.url('/sort'));
  sorted.child.stdin.end('b\na\n');
  assert.equal(await sorted.ended, 0);
  assert.deepEqual([sorted.stdout, sorted.stderr], ['a\nb\n', '']);
  const failed = start(t, gateway.url('/fail'));
  assert.equal(await failed.ended, 1);
  assert.equal(failed.stdout, 'one\n');
  assert.match(failed.stderr, /^runnel connect: the server closed the stream: 1011 exit 3\n$/);
});

test('--count, --linger, --timeout and a reader that leaves end it', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const counted = start(t, '--count', '3', gateway.url('/numbers'));
  assert.equal(await counted.ended, 0);
  assert.equal(counted.stdout, '1\n2\n3\n');
  const lingering = start(t, '--linger', '300ms', gateway.url('/echo'));
  lingering.child.stdin.end('last');
  assert.equal(await lingering.ended, 0);
  assert.equal(lingering.stdout, 'last\n');
  const late = start(t, '--timeout', '300ms', gateway.url('/echo'));
  assert.equal(await late.ended, 124);
  const unread = start(t, gateway.url('/echo'));
  unread.child.stdin.write('one\n');
  await until(() => unread.stdout === 'one\n', 'the echo');
  unread.child.stdout.destroy();
  const writing = setInterval(() => unread.child.stdin.write('two\n'), 20);
  t.after(() => clearInterval(writing));
  await once(unread.child, 'exit');
  assert.equal(unread.child.exitCode, 0);
});

test('--json has the ids, and --after begins behind one', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const first = start(t, '--json', '--count', '2', gateway.url('/shared'));
  first.child.stdin.write('a\n"b"\n');
  assert.equal(await first.ended, 0);
  const messages = first.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly id: string; readonly data: string });
  assert.deepEqual(
    messages.map(({ data }) => data),
    ['a', '"b"'],
  );
  const second = start(t, '--after', messages[0]?.id ?? '', '--count', '1', gateway.url('/shared'));
  assert.equal(await second.ended, 0);
  assert.equal(second.stdout, '"b"\n');
});

test('--reconnect comes again behind the last message, and says so on stderr', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const line = await tcpProxy(t, { to: gateway.port });
  const command = start(t, '--reconnect', `http://127.0.0.1:${line.port}/shared`);
  command.child.stdin.write('a\n');
  await until(() => command.stdout === 'a\n', 'the first message');
  line.cutAll();
  await until(() => command.stderr.includes('connected again'), 'the second connection');
  command.child.stdin.write('b\n');
  await until(() => command.stdout === 'a\nb\n', 'the second message');
  assert.match(command.stderr, /was lost; again in \d\.\d s\n/);
});

test('a program gets the stream as its stdin and stdout', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const command = start(t, gateway.url('/echo'), '--', 'sh', '-c', 'echo hello; read x; echo "got $x" >&2; exit 7');
  assert.equal(await command.ended, 7);
  assert.equal(command.stderr, 'got hello\n');
  const ended = start(t, gateway.url('/numbers'), '--', 'sh', '-c', 'sort -r >&2');
  assert.equal(await ended.ended, 0);
  assert.equal(ended.stderr, '5\n4\n3\n2\n1\n');
  const missing = start(t, gateway.url('/echo'), '--', '/no/such/program');
  assert.equal(await missing.ended, 2);
});

test('--listen joins each connection with a stream of its own', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const path = join(folderWith(t, {}), 'hop.sock');
  for (const address of ['127.0.0.1:0', `unix:${path}`]) {
    const command = start(t, '--listen', address, '--linger', '3s', gateway.url('/raw'));
    await until(() => /listening at .*\n/.test(command.stderr), 'it to listen');
    const port = Number(/:(\d+)\n/.exec(command.stderr)?.[1]);
    const talk = async (text: string): Promise<string> => {
      const socket = Number.isNaN(port) ? connectTcp(path) : connectTcp(port, '127.0.0.1');
      let got = '';
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString();
      });
      socket.end(text);
      await once(socket, 'close');
      return got;
    };
    assert.deepEqual(await Promise.all([talk('one\r\n'), talk('\0two')]), ['one\r\n', '\0two']);
    command.child.kill('SIGTERM');
    assert.equal(await command.ended, 143);
  }
});

test('whoever cannot be reached, or does not let us in, has a status', async (t) => {
  const gateway = await startGateway(t, { config: CONFIG, files: FILES });
  const folder = folderWith(t, { token: 'open sesame\n', headers: '# of the board\nX-Board: 7\n', user: 'ann:pass' });
  const rows: [args: string[], status: number, stderr: RegExp][] = [
    [['ws://127.0.0.1:1/'], 69, /nothing listens there/],
    [['ws://nothing.invalid/'], 68, /cannot connect/],
    [[gateway.url('/closed')], 77, /answered 401/],
    [[gateway.url('/nothing')], 76, /answered 404/],
    [['--pin', 'short', 'wss://127.0.0.1:1/'], 2, /a pin is/],
    [['ws://ann:pass@127.0.0.1:1/'], 2, /--password-file/],
    [['--proxy', 'http://ann:pass@127.0.0.1:1', 'ws://127.0.0.1:1/'], 2, /--proxy-password-file/],
    [['ftp://127.0.0.1/'], 2, /no scheme of a stream/],
    [['--token-file', '/no/such', 'ws://127.0.0.1:1/'], 2, /does not exist/],
    [[], 2, /needs a URL/],
  ];
  for (const [args, status, stderr] of rows) {
    const command = start(t, ...args);
    assert.equal(await command.ended, status, `${args.join(' ')}: ${command.stderr}`);
    assert.match(command.stderr, stderr);
    assert.equal(command.stdout, '');
  }
  const seen: { readonly [name: string]: string | string[] | undefined }[] = [];
  const port = await wsServer(t, (socket, request) => {
    seen.push(request.headers);
    socket.close(1000);
  });
  const files = ['--headers', join(folder, 'headers'), `ws://127.0.0.1:${port}/`];
  assert.equal(await start(t, '--token-file', join(folder, 'token'), ...files).ended, 0);
  assert.equal(await start(t, '--password-file', join(folder, 'user'), ...files).ended, 0);
  assert.deepEqual(
    seen.map((headers) => [headers['authorization'], headers['x-board']]),
    [
      ['Bearer open sesame', '7'],
      [`Basic ${Buffer.from('ann:pass').toString('base64')}`, '7'],
    ],
  );
});

test('a reader of stdout that stops holds up the stream, and does not keep it from ending', async (t) => {
  let sent = 0;
  const piece = 'x'.repeat(64 * 1024);
  const port = await wsServer(t, (socket) => {
    const more = (): void =>
      socket.send(piece, (error) => {
        if (error) return;
        sent += piece.length;
        more();
      });
    more();
  });
  const command = start(t, `ws://127.0.0.1:${port}/`);
  await until(() => command.stdout.length > 0, 'the first message');
  command.child.stdout.pause();
  let last = -1;
  let same = 0;
  await until(() => {
    same = last === sent ? same + 1 : 0;
    last = sent;
    return same === 100;
  }, 'the sender to stand still');
  assert.ok(sent < 64 << 20, `${sent} bytes were taken without a reader`);
  command.child.kill('SIGINT');
  await once(command.child, 'exit');
  assert.equal(command.child.exitCode, 130);
  command.child.stdout.resume();
});
