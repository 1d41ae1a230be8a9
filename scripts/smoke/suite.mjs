// The suite that every executable has to pass in every place.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { copyDemo } from '../demo-copy.mjs';

/** Milliseconds. An emulated processor takes seconds to start. */
const DEADLINE = 30_000;

const SECURE = `
[[listen]]
address = "127.0.0.1:0"
tls = { certificate = "../tls/server.pem", key = "../tls/server.key" }
`;

/** Resolves when everything was as it should be; rejects with what was not, and with the gateway's output. */
export async function smoke(place) {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-smoke-'));
  try {
    place.prepare(folder);
    await look(place, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function look(place, folder) {
  copyFileSync(place.executable, join(folder, 'runnel'));
  chmodSync(join(folder, 'runnel'), 0o755);
  const config = copyDemo(folder);
  const makeCertificate = async (name) => {
    const words = ['tls', 'self-signed', '--out', place.inside(folder, 'tls'), name];
    const [program, ...args] = [...place.command(folder, place.inside(folder, 'runnel')), ...words];
    await promisify(execFile)(program, args, { timeout: DEADLINE });
  };
  await makeCertificate('board.test');
  appendFileSync(config, SECURE);
  writeFileSync(join(folder, 'intruder.cjs'), 'console.log("the intruder runs")');
  const gateway = new Running(
    [...place.command(folder, place.inside(folder, 'runnel')), 'serve', '-c', place.inside(folder, 'config/demo.toml')],
    {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      NODE_OPTIONS: `--require ${place.inside(folder, 'intruder.cjs')}`,
      NODE_PATH: folder,
    },
  );
  try {
    const ready = await gateway.until('it is ready', () =>
      /"message":"ready"/.test(gateway.output) ? performance.now() : undefined,
    );
    const [base, admin] = ['listening on', 'status page and metrics on'].map((what) => gateway.address(what));
    console.log(`ready after ${Math.round(ready - gateway.started)} ms, ${gateway.engine()}`);
    await lookAtPages(base);
    await lookAtStreams(base);
    const metrics = await (await get(`http://${admin}/metrics`)).text();
    assert.match(metrics, /^runnel_build_info\{/m, 'the metrics');
    assert.match(metrics, /^runnel_processes_started_total\{.*\} [1-9]/m, 'the count of programs');
    await lookAtReload(gateway, folder, config, () => makeCertificate('next.test'));
    gateway.child.kill('SIGUSR1');
    assert.equal((await get(`http://${base}/`)).status, 200, 'the page after USR1');
    await lookAtEnd(gateway, folder);
  } catch (error) {
    error.stack += `\nits output:\n${gateway.output}\nstill running: ${processesOf(folder).join('; ')}`;
    throw error;
  } finally {
    if (!gateway.ended) gateway.child.kill('SIGKILL');
  }
}

async function lookAtPages(base) {
  const page = await get(`http://${base}/`);
  assert.equal(page.status, 200, 'the page');
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/, "the page's type");
  const status = await get(`http://${base}/cgi-bin/status.cgi`);
  assert.equal(status.status, 200, 'the CGI program');
  JSON.parse(await status.text());
  assert.equal((await get(`http://${base}/cgi-bin/none.cgi`)).status, 404, 'a CGI program that is not there');
}

async function lookAtStreams(base) {
  JSON.parse(await firstMessage(`ws://${base}/live/machine`));
  assert.equal(await firstMessage(`ws://${base}/live/echo`, 'hello'), 'hello', 'the echo');
}

/** Transport security, another certificate, another configuration: a WebSocket from before lives through all of it. */
async function lookAtReload(gateway, folder, config, nextCertificate) {
  const [host, port] = gateway.address('listening on', 'https').split(':');
  const trusting = { host, port, servername: 'board.test', ca: readFileSync(join(folder, 'tls/ca.pem')) };
  assert.equal(await statusOf({ ...trusting, path: '/' }), 200, 'the page over TLS');
  const socket = new WebSocket(`wss://${host}:${port}/live/echo`, trusting);
  const echo = async (text) => {
    socket.send(text);
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(DEADLINE) });
    assert.equal(String(answer), text, 'the echo over TLS');
  };
  await once(socket, 'open', { signal: AbortSignal.timeout(DEADLINE) });
  await echo('before');
  assert.equal(await nameShown(trusting), 'DNS:board.test');
  await nextCertificate();
  await gateway.reload();
  assert.equal(await nameShown({ ...trusting, servername: 'next.test' }), 'DNS:next.test', 'after HUP');
  await echo('another certificate');

  const added = { ...trusting, servername: 'next.test', path: '/added/' };
  assert.equal(await statusOf(added), 404, 'a route that is not there yet');
  appendFileSync(config, '[static."/added/"]\nroot = "demo/www"\n');
  await gateway.reload();
  assert.equal(await statusOf(added), 200, 'the route that was added');
  appendFileSync(config, '[static."/added/"');
  await gateway.reload();
  assert.equal(await statusOf(added), 200, 'after a reload with an error');
  await echo('another configuration');
  socket.close();
  console.log('TLS, another certificate, another configuration: nobody was dropped');
}

async function lookAtEnd(gateway, folder) {
  const stopping = performance.now();
  gateway.child.kill('SIGTERM');
  const result = await gateway.until('its end', () => (gateway.ended ? gateway.exited : undefined));
  assert.equal(result, 0, 'the exit code after TERM');
  console.log(`stopped after ${Math.round(performance.now() - stopping)} ms, exit code 0`);
  await gateway.until('the end of its programs', () => (processesOf(folder).length === 0 ? true : undefined));
  assert.doesNotMatch(gateway.output, /intruder/, 'NODE_OPTIONS was followed');
  assert.doesNotMatch(gateway.output, /Debugger/, 'USR1 opened the inspector');
}

class Running {
  output = '';
  ended = false;
  started = performance.now();

  constructor([program, ...args], env) {
    this.child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (bytes) => (this.output += bytes));
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code, signal) => resolve(signal ?? code));
    });
    this.exited.finally(() => (this.ended = true)).catch(() => {});
  }

  /** Host and port of the line that starts so. */
  address(what, scheme = 'http') {
    return new RegExp(`"${what} ${scheme}://([^/"]+)/`).exec(this.output)?.[1];
  }

  /** Sends HUP, and waits for the line that says what came of it. */
  async reload() {
    const results = () => this.output.split(/"message":"the configuration is (?:not )?reloaded/).length;
    const before = results();
    process.kill(this.child.pid, 'SIGHUP');
    await this.until('the reload', () => (results() > before ? true : undefined));
  }

  engine() {
    const lost = /(posix_spawn cannot|the process that starts programs cannot|there is no starter)[^"]*/.exec(
      this.output,
    );
    return `engine ${/"engine":"(\w+)"/.exec(this.output)?.[1]}, ${lost === null ? 'starter' : lost[0]}`;
  }

  /** Asks `probe` until it answers something; rejects after a while, or when the gateway has ended without being told to. */
  async until(what, probe) {
    const deadline = performance.now() + DEADLINE;
    for (;;) {
      const answer = await probe();
      if (answer !== undefined) return answer;
      if (this.ended && !this.child.killed) throw new Error(`it ended (${await this.exited}) before ${what}`);
      if (performance.now() > deadline) throw new Error(`waited ${DEADLINE} ms for ${what}`);
      await delay(10);
    }
  }
}

/** The status of a request over TLS, on a connection of its own. */
async function statusOf(options) {
  const asking = request({ ...options, agent: false, timeout: DEADLINE }).end();
  const [response] = await once(asking, 'response', { signal: AbortSignal.timeout(DEADLINE) });
  response.resume();
  return response.statusCode;
}

/** The name in the certificate that a new connection gets. */
async function nameShown(options) {
  const socket = connect(options);
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(DEADLINE) });
  const name = socket.getPeerCertificate().subjectaltname;
  socket.destroy();
  return name;
}

function get(url) {
  return fetch(url, { signal: AbortSignal.timeout(DEADLINE) });
}

/** Connects, sends `text` if there is one, and gives the first message that comes back. */
function firstMessage(url, text) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const timer = setTimeout(() => reject(new Error(`${url}: no message in ${DEADLINE} ms`)), DEADLINE);
    socket.on('open', () => text !== undefined && socket.send(text));
    socket.on('error', reject);
    socket.on('close', (code, reason) => reject(new Error(`${url} closed with ${code} ${reason}`)));
    socket.on('message', (data) => {
      clearTimeout(timer);
      socket.close();
      resolve(String(data));
    });
  });
}

/** Command lines of processes that have to do with `path`, other than our own. */
function processesOf(path) {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return ''; // Ended while we looked.
      }
    })
    .filter((line) => line.includes(path));
}
