/**
 * The load client of the echo cases, a process of its own so that the bench does not slow it. It does as little as it can: frames are
 * made once, answers are counted by their headers, and what is sent at once goes out in one write.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { percentile } from './table.ts';

export interface EchoOrder {
  readonly port: number;
  readonly path: string;
  readonly secure: boolean;
  readonly connections: number;
  /** Messages that each connection has under way. */
  readonly window: number;
  /** Seconds. */
  readonly warmUp: number;
  readonly seconds: number;
}

/** What the client says: first that the measurement begins, then what came of it. */
export type EchoReport =
  | { readonly kind: 'begin' }
  | {
      readonly kind: 'end';
      readonly rate: number;
      /** Milliseconds from sending a message to its answer; with more than one under way, of a whole window. */
      readonly p50: number;
      readonly p99: number;
      /** Share of one core that this client used. */
      readonly share: number;
    };

const MESSAGE = Buffer.from('the quick brown fox jumps over the lazy dog, again and again: 64');
const HEADER = 2;
const ANSWER = HEADER + MESSAGE.length;
const TEXT = 0x81;

/** RFC 6455 section 5.2: a client masks what it sends. */
function frames(count: number): Buffer {
  const mask = [0x37, 0xfa, 0x21, 0x3d];
  const masked = MESSAGE.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  const frame = Buffer.concat([Buffer.from([TEXT, 0x80 | MESSAGE.length, ...mask]), masked]);
  return Buffer.concat(Array.from({ length: count }, () => frame));
}

class Load {
  private answers = 0;
  private measuring = false;
  private readonly times: number[] = [];
  private readonly window: Buffer;
  private readonly sockets: Socket[] = [];

  constructor(private readonly order: EchoOrder) {
    this.window = frames(order.window);
  }

  async run(): Promise<void> {
    const { connections, warmUp, seconds } = this.order;
    const opened = await Promise.all(Array.from({ length: connections }, () => this.open()));
    for (const socket of opened) this.play(socket);
    await pause(warmUp);
    report({ kind: 'begin' });
    this.answers = 0;
    this.measuring = true;
    const cpu = process.cpuUsage();
    const began = performance.now();
    await pause(seconds);
    const elapsed = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const sorted = Float64Array.from(this.times).sort();
    const rate = this.answers / elapsed;
    const share = (user + system) / 1e6 / elapsed;
    report({ kind: 'end', rate, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), share });
    process.disconnect();
    for (const socket of this.sockets) socket.destroy();
  }

  private open(): Promise<Socket> {
    const { port, path, secure } = this.order;
    const socket = secure
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).setNoDelay()
      : connect(port, '127.0.0.1').setNoDelay();
    this.sockets.push(socket);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    return new Promise((resolve, reject) => {
      let head = '';
      const listen = (chunk: Buffer): void => {
        head += chunk.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        socket.off('data', listen);
        if (head.startsWith('HTTP/1.1 101')) resolve(socket);
        else reject(new Error(head));
      };
      socket.on('data', listen);
      socket.once('error', reject);
    });
  }

  /** Keeps `window` messages under way: for every answer another one is sent. */
  private play(socket: Socket): void {
    const frame = this.window.length / this.order.window;
    let sentAt = performance.now();
    /** Bytes of the present answer that have come. */
    let into = 0;
    let sinceSent = 0;
    socket.on('data', (chunk: Buffer) => {
      let whole = 0;
      for (let at = 0; at < chunk.length; ) {
        if (into === 0 && chunk[at] !== TEXT) throw new Error(`an unexpected frame: ${chunk[at]?.toString(16)}`);
        const step = Math.min(ANSWER - into, chunk.length - at);
        at += step;
        into += step;
        if (into < ANSWER) continue;
        into = 0;
        whole++;
      }
      if (whole === 0) return;
      this.answers += whole;
      sinceSent += whole;
      if (sinceSent >= this.order.window) {
        const now = performance.now();
        if (this.measuring) this.times.push(now - sentAt);
        sentAt = now;
        sinceSent -= this.order.window;
      }
      socket.write(whole === this.order.window ? this.window : this.window.subarray(0, whole * frame));
    });
    socket.write(this.window);
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function report(message: EchoReport): void {
  process.send?.(message);
}

await new Load(JSON.parse(process.argv[2] ?? '') as EchoOrder).run();
