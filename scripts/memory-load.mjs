// Load for measurements of memory: requests by wrk, and viewers of streams.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Milliseconds until a connection that has had no answer counts as refused. */
const ANSWER = 20_000;

/** Asks for `url` over and over. Answers with requests per second and how many there were; throws when one was refused. */
export async function request(url, connections, seconds) {
  const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes) => (text += bytes));
  await new Promise((resolve) => child.once('close', resolve));
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0);
  return {
    rate: number(/Requests\/sec: +([0-9.]+)/),
    count: number(/(\d+) requests in/),
    refused: number(/Non-2xx.*: (\d+)/),
  };
}

/** Connections that wait: each has sent `head` and got an answer. `bytes` counts what came after the first piece of it. */
export class Waiting {
  bytes = 0;
  refused = 0;
  sockets = [];

  /** @param secure whether the connections speak TLS. */
  constructor(secure = false) {
    this.secure = secure;
  }

  /** No more are opened once one was refused. @param head the request of the connection with this index. */
  async open(port, count, head) {
    // Not all at once: the queue of a listener is shorter than a thousand.
    for (let from = 0; from < count && this.refused === 0; from += 50)
      await Promise.all(
        Array.from({ length: Math.min(50, count - from) }, (_, index) => this.openOne(port, head(from + index))),
      );
  }

  openOne(port, head) {
    return new Promise((resolve) => {
      const ready = () => socket.write(head);
      const socket = this.secure
        ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, ready)
        : connect(port, '127.0.0.1', ready);
      this.sockets.push(socket);
      const refuse = () => {
        clearTimeout(timer);
        socket.off('error', refuse).off('close', refuse);
        socket.on('error', () => undefined).destroy();
        this.refused += 1;
        resolve();
      };
      // A server that is out of memory may accept and never answer.
      const timer = setTimeout(refuse, ANSWER);
      socket.once('error', refuse).once('close', refuse);
      socket.once('data', (first) => {
        clearTimeout(timer);
        socket.off('close', refuse);
        socket.off('error', refuse);
        socket.on('error', () => undefined);
        if (!/^HTTP\/1\.1 (101|200)?/.test(first.toString('latin1'))) this.refused += 1;
        socket.on('data', (bytes) => (this.bytes += bytes.length));
        resolve();
      });
    });
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
  }
}

export function upgrade(path) {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
}

/** Microseconds of processor time that a process has had. */
export function processorTime(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

export function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : sorted[sorted.length >> 1];
}
