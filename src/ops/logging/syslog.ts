/**
 * Lines to a syslog: over a Unix socket in the form that every local one reads (busybox, rsyslog, syslog-ng, journald), over a network as
 * RFC 5424. What it does not take waits to a bound, then is dropped and counted, and told when it takes lines again.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { datagramSocket } from '../system/datagrams.ts';
import type { LogOutput } from './line-output.ts';

export type SyslogTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'udp' | 'tcp'; readonly host: string; readonly port: number };

/** Bytes that wait while it takes nothing. */
const MAX_WAITING = 1 << 20;
/** Milliseconds between two attempts, twice as long each time. */
const RETRY = { first: 10, last: 5000 };
/** The wait from which on it is told that lines wait. */
const WORTH_TELLING = 1000;
/** Milliseconds that `flush` waits for lines that wait. */
const FLUSH_PATIENCE = 1000;
/** Bytes of a line; what is longer is cut. RFC 5425 section 4.3.1 wants 8 KiB to be read; a datagram of the network should not be taken apart. */
const MAX_LINE = { unix: 8192, tcp: 8192, udp: 1400 };
/** The facility "daemon". */
const DAEMON = 3 << 3;
const NAME = 'runnel';

/** Where datagrams or bytes go. */
interface Channel {
  /** False: it did not take it; try again later. */
  send(text: string): boolean;
  close(): void;
}

export interface SyslogEvents {
  /** Once in a row. */
  failing(why: string): void;
  /** So many lines were dropped meanwhile. */
  recovered(dropped: number): void;
}

export class SyslogOutput implements LogOutput {
  dropped = 0;
  private untold = 0;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private channel: Channel | undefined;
  private timer: NodeJS.Timeout | undefined;
  private retry = RETRY.first;
  private isFailing = false;
  private drained: (() => void)[] = [];

  constructor(
    private readonly target: SyslogTarget,
    private readonly events: SyslogEvents,
  ) {
    if (target.kind !== 'unix') this.channel = this.networkChannel(target);
  }

  /** What the way over a Unix socket needs. Lines wait for it. @param addon of FFI; undefined where there is none */
  open(addon: unknown): void {
    const { target } = this;
    if (target.kind !== 'unix' || this.channel !== undefined) return;
    if (addon === undefined) {
      this.fail('datagrams to a Unix socket need the native add-on of the C library, which is not loaded here');
      return;
    }
    try {
      const socket = datagramSocket(addon, target.path);
      this.channel = { send: (text) => socket.send(text), close: () => undefined };
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
    this.sendWaiting();
  }

  write(text: string, severity: number): void {
    const entry = this.framed(text.replace(/\n$/, ''), severity, new Date());
    if (this.waiting.length === 0 && this.channel?.send(entry) === true) {
      this.taken();
      return;
    }
    const bytes = Buffer.byteLength(entry);
    if (this.waitingBytes + bytes > MAX_WAITING) {
      this.dropped++;
      this.untold++;
      return;
    }
    this.waiting.push(entry);
    this.waitingBytes += bytes;
    if (this.channel !== undefined) this.later();
  }

  flush(): Promise<void> {
    if (this.waiting.length === 0 || this.channel === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, FLUSH_PATIENCE);
      this.drained.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private framed(line: string, severity: number, now: Date): string {
    const { kind } = this.target;
    const priority = DAEMON | severity;
    const head =
      kind === 'unix'
        ? `<${priority}>${bsdTime(now)} ${NAME}[${process.pid}]: `
        : `<${priority}>1 ${now.toISOString()} ${hostname() || '-'} ${NAME} ${process.pid} - - `;
    const text = cutTo(head + line, MAX_LINE[kind]);
    // RFC 6587 section 3.4.1: the length goes in front.
    return kind === 'tcp' ? `${Buffer.byteLength(text)} ${text}` : text;
  }

  private later(): void {
    if (this.timer !== undefined) return;
    if (this.retry > WORTH_TELLING) this.fail('it takes none');
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.sendWaiting();
    }, this.retry);
    // The gateway need not live on for it.
    this.timer.unref();
    this.retry = Math.min(this.retry * 2, RETRY.last);
  }

  private sendWaiting(): void {
    const { waiting, channel } = this;
    let sent = 0;
    while (sent < waiting.length && channel?.send(waiting[sent] ?? '') === true) sent++;
    for (const entry of waiting.splice(0, sent)) this.waitingBytes -= Buffer.byteLength(entry);
    if (sent > 0) this.taken();
    if (waiting.length > 0) this.later();
    else for (const resolve of this.drained.splice(0)) resolve();
  }

  private fail(why: string): void {
    if (this.isFailing) return;
    this.isFailing = true;
    this.events.failing(why);
  }

  private taken(): void {
    if (!this.isFailing && this.untold === 0) return;
    this.isFailing = false;
    this.retry = RETRY.first;
    const { untold } = this;
    this.untold = 0;
    this.events.recovered(untold);
  }

  private networkChannel(target: Exclude<SyslogTarget, { kind: 'unix' }>): Channel {
    return target.kind === 'udp' ? new UdpChannel(target.host, target.port) : new TcpChannel(target.host, target.port);
  }
}

/** Whether anybody reads is not told. */
class UdpChannel implements Channel {
  private socket: UdpSocket | undefined;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  send(text: string): boolean {
    this.socket ??= createSocket({ type: this.host.includes(':') ? 'udp6' : 'udp4' })
      .on('error', () => this.close())
      .unref();
    this.socket.send(text, this.port, this.host, () => undefined);
    return true;
  }

  close(): void {
    this.socket?.close();
    this.socket = undefined;
  }
}

/** One connection, made again with the next attempt. What was under way when it broke is lost. */
class TcpChannel implements Channel {
  private socket: Socket | undefined;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  send(text: string): boolean {
    this.socket ??= this.dial();
    if (this.socket.connecting || this.socket.writableLength > MAX_WAITING) return false;
    this.socket.write(text);
    return true;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  private dial(): Socket {
    const socket = connect({ host: this.host, port: this.port });
    const gone = (): void => {
      if (this.socket === socket) this.close();
    };
    return socket.on('error', gone).on('close', gone).on('end', gone).resume().unref();
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** RFC 3164 section 4.1.2: "Nov  9 01:07:40", in local time. */
function bsdTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(date.getDate()).padStart(2, ' ');
  return `${MONTHS[date.getMonth()]} ${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const CUT = ' … (cut)';

function cutTo(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text;
  const kept = Buffer.from(text).subarray(0, bytes - Buffer.byteLength(CUT));
  // A character that was cut in two goes.
  return kept.toString().replace(/\ufffd$/, '') + CUT;
}
