/**
 * A terminal in the browser behind the route that docs/proxy.md gives for ttyd. A stand-in speaks its protocol (1.7.7): subprotocol "tty", binary
 * messages whose first byte says what they are, a token that is fetched first. RUNNEL_TTYD names a real one to be tried instead.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { startBoth } from '../../support/both-engines.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/processes.ts';
import { soon } from '../../support/proxy.ts';
import { recipe, startApplication } from '../../support/recipe.ts';

const TTYD = process.env['RUNNEL_TTYD'] ?? '';
/** "secret", cost 4. */
const PEOPLE = 'ann:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\n';
const PASSWORD = { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` };
/** What it runs: it says what it is told, and how wide it is. */
const SHELL = [
  'sh',
  '-c',
  'stty -echo 2>/dev/null; echo ready; while read line; do echo "got $line"; [ "$line" = exit ] && exit; done',
];

/** @param credential "user:password", where it has one of its own */
async function terminal(t: TestContext, credential: string): Promise<number> {
  if (TTYD !== '') {
    const port = await freePort();
    const own = credential === '' ? [] : ['-c', credential];
    startApplication(t, TTYD, ['-W', '-i', '127.0.0.1', '-p', String(port), ...own, ...SHELL], '/');
    await soon(
      () => ask(port, '/'),
      () => '',
    );
    return port;
  }
  const token = Buffer.from(credential).toString('base64');
  const isKnown = (authorization: string | undefined): boolean =>
    credential === '' || authorization === `Basic ${token}`;
  const children = new Set<ChildProcess>();
  const http = createServer((request, response) => {
    if (!isKnown(request.headers.authorization))
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="ttyd"', 'Content-Length': 0 }).end();
    else if (request.url === '/token')
      response.writeHead(200, { 'content-type': 'application/json;charset=utf-8' }).end(`{"token": "${token}"}`);
    else if (request.url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end('<title>ttyd</title>');
    else response.writeHead(404).end();
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => offered.has('tty') && 'tty' });
  http.on('upgrade', (request, socket, head) => {
    if (request.url !== '/ws' || !isKnown(request.headers.authorization)) socket.destroy();
    else sockets.handleUpgrade(request, socket, head, (ws) => children.add(serveTerminal(ws, credential && token)));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const child of children) child.kill('SIGKILL');
    http.closeAllConnections();
    http.close();
  });
  return (http.address() as AddressInfo).port;
}

function serveTerminal(ws: WebSocket, token: string): ChildProcess {
  const [program = '', ...args] = SHELL;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const say = (command: string, bytes: Buffer | string): void =>
    ws.send(Buffer.concat([Buffer.from(command), Buffer.from(bytes)]));
  let isOpen = false;
  ws.on('message', (data: Buffer) => {
    const command = String.fromCharCode(data[0] ?? 0);
    if (command === '{') {
      const { AuthToken } = JSON.parse(data.toString()) as { AuthToken: string };
      if (token !== '' && AuthToken !== token) {
        ws.close(1008);
        return;
      }
      isOpen = true;
      say('1', 'sh (board)');
      say('2', '{}');
      child.stdout.on('data', (bytes: Buffer) => say('0', bytes));
    } else if (!isOpen) ws.terminate();
    else if (command === '0') child.stdin.write(data.subarray(1));
    else if (command === '2') child.stdout.pause();
    else if (command === '3') child.stdout.resume();
  });
  ws.on('close', () => child.kill('SIGHUP'));
  child.on('exit', (code) => ws.close(code === 0 ? 1000 : 1011));
  return child;
}

/** Opens it as its page does. */
async function open(url: string, token: string, headers: { readonly [name: string]: string }): Promise<TestSocket> {
  const socket = await TestSocket.open(url, { headers }, ['tty']);
  socket.ws.send(Buffer.from(JSON.stringify({ AuthToken: token, columns: 80, rows: 24 })));
  return socket;
}

const output = ({ messages }: TestSocket): string =>
  messages
    .filter((message) => message.startsWith('0'))
    .map((message) => message.slice(1))
    .join('');

test('behind a password of the gateway', async (t) => {
  const config = await recipe(t, 'ttyd', await terminal(t, ''), { people: PEOPLE });
  const gateway = await startBoth(t, { config, files: { people: PEOPLE } });
  for (const [engine, port] of gateway.engines) {
    const url = `ws://127.0.0.1:${port}/tty/ws`;
    assert.equal((await ask(port, '/tty/')).status, 401, engine);
    assert.equal((await refused(url, { headers: { 'sec-websocket-protocol': 'tty' } })).status, 401, engine);
    assert.match((await ask(port, '/tty/', { headers: PASSWORD })).body, /ttyd/, engine);
    assert.deepEqual(JSON.parse((await ask(port, '/tty/token', { headers: PASSWORD })).body), { token: '' }, engine);

    const socket = await open(url, '', PASSWORD);
    assert.equal(socket.ws.protocol, 'tty', engine);
    await until('it is ready', () => output(socket).includes('ready'));
    assert.ok(
      socket.binary.every((binary) => binary),
      engine,
    );
    assert.ok(
      socket.messages.some((message) => message.startsWith('1')),
      `${engine}: a title`,
    );
    socket.ws.send(Buffer.from('1{"columns": 100, "rows": 30}'));
    socket.ws.send(Buffer.from('0caf\u00e9\n'));
    await until('it has read', () => output(socket).includes('got caf\u00e9'));
    socket.ws.send(Buffer.from('0exit\n'));
    // The real one, with Debian 12's libwebsockets, ends its connection without a close frame.
    assert.equal((await socket.closed).code, TTYD === '' ? 1000 : 1006, engine);
  }
});

test('with a password of its own', async (t) => {
  const port = await terminal(t, 'ann:secret');
  const config = (await recipe(t, 'ttyd', port, { people: PEOPLE })).replace(/auth = .*\n/, '');
  const gateway = await startBoth(t, { config });
  for (const [engine, own] of gateway.engines) {
    const url = `ws://127.0.0.1:${own}/tty/ws`;
    const asked = await ask(own, '/tty/');
    assert.deepEqual([asked.status, asked.headers['www-authenticate']], [401, 'Basic realm="ttyd"'], engine);
    const { token } = JSON.parse((await ask(own, '/tty/token', { headers: PASSWORD })).body) as { token: string };
    const wrong = await open(url, 'wrong', PASSWORD);
    assert.equal((await wrong.closed).code, 1008, engine);
    const socket = await open(url, token, PASSWORD);
    await until('it is ready', () => output(socket).includes('ready'));
    socket.ws.terminate();
  }
});
