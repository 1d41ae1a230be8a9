/** Keeps account of what an engine was given: each of it must become exactly one of two things. */
import type { BodySink, BodySource, Exchange, Socket, Upgrade } from '../../src/engine/engine.ts';

/** Runs `act` so many turns of the event loop later: 0 at once, 1 in a microtask. */
export function after(turns: number, act: () => void): void {
  if (turns <= 0) act();
  else if (turns === 1) queueMicrotask(act);
  else setImmediate(() => after(turns === 2 ? 0 : turns - 1, act));
}

export class Ledger {
  /** Given, and not yet accounted for. */
  pending = 0;
  given = 0;
  readonly problems: string[] = [];

  /** Hears of the abort of an exchange: once at most, and not of one that is complete. */
  watch(exchange: Exchange, kind: string): void {
    let aborts = 0;
    exchange.onAborted(() => {
      if (++aborts > 1) this.problems.push(`${kind}: aborted ${aborts} times`);
      if (!exchange.aborted) this.problems.push(`${kind}: told of an abort that is none`);
    });
  }

  /** @param chunks one is written every `turns` turns, as far as the client takes them */
  source(kind: string, chunks: readonly Uint8Array[], turns: number, length?: number): BodySource {
    const steps: string[] = [];
    const left = [...chunks];
    let sink: BodySink | undefined;
    let over = false;
    let waits = false;
    const step = (name: string, allowed: boolean): void => {
      steps.push(name);
      if (!allowed) this.problems.push(`${kind}: a source heard ${steps.join(', ')}`);
    };
    const settle = (): void => {
      if (!over) this.pending--;
      over = true;
    };
    const pump = (): void => {
      if (over || waits) return;
      const chunk = left.shift();
      if (chunk === undefined) {
        settle();
        sink?.end();
        return;
      }
      if (sink?.write(chunk) === false) waits = true;
      else after(turns, pump);
    };
    this.pending++;
    this.given++;
    return {
      length,
      start(given) {
        step('start', steps.length === 0);
        sink = given;
        after(turns, pump);
      },
      resume() {
        step('resume', sink !== undefined && steps.at(-1) !== 'cancel');
        waits = false;
        pump();
      },
      cancel() {
        step('cancel', !over);
        settle();
      },
    };
  }

  /** @param opened what to do with the WebSocket */
  upgrade(kind: string, opened: (socket: Socket) => void): Upgrade {
    const steps: string[] = [];
    const step = (name: string, allowed: boolean): void => {
      steps.push(name);
      if (!allowed) this.problems.push(`${kind}: an upgrade heard ${steps.join(', ')}`);
    };
    const isOpen = (): boolean => steps[0] === 'open' && !steps.includes('close');
    this.pending++;
    this.given++;
    return {
      protocol: undefined,
      headers: [],
      maxMessage: 1 << 16,
      handlers: {
        open(socket) {
          step('open', steps.length === 0);
          opened(socket);
        },
        message: () => step('message', isOpen()),
        drain: () => step('drain', isOpen()),
        pong: () => step('pong', isOpen()),
        ping: () => step('ping', isOpen()),
        close: () => {
          step('close', isOpen());
          this.pending--;
        },
      },
      cancel: () => {
        step('cancel', steps.length === 0);
        this.pending--;
      },
    };
  }
}
