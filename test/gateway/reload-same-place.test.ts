/**
 * A listener that becomes another one at its place (engine, TLS): its socket goes on, so whoever comes meanwhile is served by the one or the
 * other, and who has a connection keeps it until the next answer.
 */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:http';
import { request as requestSecurely, Agent as SecureAgent } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Authority } from '../support/certificates.ts';
import { type LogLine, type Running, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { RawClient } from '../support/raw.ts';
import { until } from '../support/until.ts';

const RELOADS = 50;
const { certificate, pem } = new Authority().server(['board.test']);
const FILES = { 'www/a.txt': 'a page', 'board.pem': certificate, 'board.key': pem };
const TLS = 'tls = { certificate = "board.pem", key = "board.key" }\n';
const ENGINES = ['uws', 'node', 'auto'] as const;

/** @param lines of the listener, for each address */
function config(addresses: readonly string[], lines: string, more = ''): string {
  const listeners = addresses.map((address) => `[[listen]]\naddress = "${address}"\n${lines}`).join('');
  return `stop_timeout = "30s"\n${listeners}[log]\nrequests = false\n[connections]\nmax_per_address = 10000\n[static."/"]\nroot = "www"\n${more}`;
}

const isResult = ({ message }: LogLine): boolean => /^the configuration is (not )?reloaded/.test(message);

async function reload(running: Running, text: string): Promise<LogLine> {
  const before = running.log.filter(isResult).length;
  writeFileSync(join(running.folder, 'next.toml'), text);
  renameSync(join(running.folder, 'next.toml'), join(running.folder, 'runnel.toml'));
  running.process.kill('SIGHUP');
  await until(() => running.log.filter(isResult).length > before, 'the reload');
  const line = running.log.filter(isResult).at(-1);
  assert(line !== undefined);
  return line;
}

/** One request: its status, or what became of it. */
function outcome(ask: typeof request, options: RequestOptions): Promise<string> {
  return new Promise((resolve) => {
    const outgoing = ask({ host: '127.0.0.1', path: '/a.txt', ...options });
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      resolve(`${error.code} ${outgoing.reusedSocket ? 'on a kept' : 'on a new'} connection`),
    );
    outgoing.on('response', (response) => {
      response.on('error', (error: NodeJS.ErrnoException) => resolve(`cut: ${error.code}`));
      response.on('end', () => resolve(String(response.statusCode)));
      response.resume();
    });
    outgoing.end();
  });
}

/** Asks again and again, in so many ways at a time, until told to end; how often what came of it. */
function asking(ways: readonly (() => Promise<string>)[]): { counts: Map<string, number>; end(): Promise<void> } {
  const counts = new Map<string, number>();
  let over = false;
  const loops = ways.map(async (way) => {
    while (!over) {
      const what = await way();
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
  });
  return {
    counts,
    async end() {
      over = true;
      await Promise.all(loops);
    },
  };
}

/** After each reload some have to be asked, or it would not be seen. */
async function reloads(running: Running, counts: Map<string, number>, text: (at: number) => string): Promise<void> {
  const asked = () => [...counts.values()].reduce((sum, count) => sum + count, 0);
  for (let at = 1; at <= RELOADS; at++) {
    const before = asked();
    const { message } = await reload(running, text(at));
    assert.equal(message, 'the configuration is reloaded');
    await until(() => asked() > before, 'requests');
  }
}

function agentFor(t: TestContext): Agent {
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  return agent;
}

test(`from engine to engine, ${RELOADS} times, over new and kept connections: nobody is refused or cut`, async (t) => {
  const port = await freePort();
  const text = (at: number) => config([`127.0.0.1:${port}`], `engine = "${ENGINES[at % 3]}"\n`);
  const running = await startGateway(t, { config: text(0), files: FILES });
  const agent = agentFor(t);
  const anew = () => outcome(request, { port, agent: false });
  const kept = () => outcome(request, { port, agent });
  const { counts, end } = asking([anew, anew, anew, anew, kept, kept, kept, kept]);
  await reloads(running, counts, text);
  await end();
  assert.deepEqual([...counts.keys()], ['200'], JSON.stringify([...counts]));
  assert.equal(await running.stop(), 0);
});

test(`a Unix socket, from engine to engine, ${RELOADS} times`, async (t) => {
  const text = (at: number) => config(['unix:s'], `engine = "${ENGINES[at % 3]}"\n`);
  // Node's client does not come again when the queue of a Unix socket is full (EAGAIN): so few that it never is.
  const running = await startGateway(t, { config: text(0), files: FILES });
  const socketPath = join(running.folder, 's');
  const agent = agentFor(t);
  const { counts, end } = asking([
    () => outcome(request, { socketPath, agent: false }),
    () => outcome(request, { socketPath, agent }),
  ]);
  await reloads(running, counts, text);
  await end();
  assert.deepEqual([...counts.keys()], ['200'], JSON.stringify([...counts]));
  assert.equal(await running.stop(), 0);
});

test(`plain, then with TLS, ${RELOADS} times: each client is answered by the one or the other`, async (t) => {
  const port = await freePort();
  const ways = ['', TLS, 'engine = "node"\n', `${TLS}engine = "node"\n`, `${TLS}http2 = true\n`];
  const text = (at: number) => config([`127.0.0.1:${port}`], ways[at % ways.length] ?? '');
  const running = await startGateway(t, { config: text(0), files: FILES });
  const secure = { port, rejectUnauthorized: false, servername: 'board.test' };
  const keptSecurely = new SecureAgent({ keepAlive: true });
  const agent = agentFor(t);
  t.after(() => keptSecurely.destroy());
  const { counts, end } = asking([
    () => outcome(request, { port, agent: false }),
    () => outcome(request, { port, agent }),
    () => outcome(requestSecurely, { ...secure, agent: false }),
    () => outcome(requestSecurely, { ...secure, agent: keptSecurely }),
  ]);
  await reloads(running, counts, text);
  await end();
  // Over a plain listener a TLS client reads "HTTP/1.1 400" where a record should be; a plain one gets 400 over a TLS listener.
  const expected = ['200', '400', 'EPROTO on a new connection', 'ERR_SSL_WRONG_VERSION_NUMBER on a new connection'];
  const others = [...counts].filter(([what]) => !expected.includes(what));
  assert.deepEqual(others, [], JSON.stringify([...counts]));
  assert((counts.get('200') ?? 0) > 0);
  assert.equal(await running.stop(), 0);
});

test('who is in the queue, in the middle of a head, or idle when the listener changes is served', async (t) => {
  const port = await freePort();
  const text = (engine: string) => config([`127.0.0.1:${port}`], `engine = "${engine}"\n`);
  for (const [from, to] of [
    ['uws', 'node'],
    ['node', 'uws'],
    ['auto', 'node'],
  ] as const) {
    const running = await startGateway(t, { config: text(from), files: FILES });
    const page = 'GET /a.txt HTTP/1.1\r\nHost: board\r\n\r\n';
    const idle = await RawClient.connect(port);
    idle.send(page);
    assert.equal((await idle.reply()).status, 200);
    const half = await RawClient.connect(port);
    half.send(page.slice(0, 30));
    const silent = await RawClient.connect(port);
    await reload(running, text(to));
    half.send(page.slice(30));
    for (const client of [idle, silent]) client.send(page);
    for (const client of [idle, half, silent]) assert.equal((await client.reply()).status, 200);
    // It was the other door's, which is to come to its end.
    await idle.ended();
    for (const client of [half, silent]) client.destroy();
    assert.equal(await running.stop(), 0);
  }
});

test('a reload that fails behind a socket that was handed on: it is handed back, and nobody notices', async (t) => {
  const port = await freePort();
  const other = await freePort();
  const running = await startGateway(t, {
    config: config([`127.0.0.1:${port}`, `127.0.0.1:${other}`], ''),
    files: FILES,
  });
  const agent = agentFor(t);
  const { counts, end } = asking([
    () => outcome(request, { port, agent: false }),
    () => outcome(request, { port, agent }),
  ]);
  for (let times = 0; times < 5; times++) {
    // The second is opened last, and this machine does not have that address (RFC 5737).
    const broken = `[[listen]]\naddress = "127.0.0.1:${port}"\nengine = "node"\n[[listen]]\naddress = "203.0.113.1:${other}"\n`;
    const { message } = await reload(running, `${broken}[static."/"]\nroot = "www"\n`);
    assert.match(message, /^the configuration is not reloaded/);
  }
  await end();
  assert.deepEqual([...counts.keys()], ['200'], JSON.stringify([...counts]));
  assert.equal(await outcome(request, { port: other, agent: false }), '200');
  assert.equal(await running.stop(), 0);
});
