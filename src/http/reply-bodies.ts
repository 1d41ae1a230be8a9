/** Bodies of replies apart from the hot ones: none, from what Node iterates over, and taken into memory for whoever asks a handler of ours. */
import type { BodySink, BodySource, Reply } from '../engine/engine.ts';

/** The body of an answer to HEAD: its length is told, its bytes are nobody's business (RFC 9110 section 9.3.2). */
export class NoBody implements BodySource {
  /** @param length What a GET would have got; undefined when that is not known beforehand. */
  constructor(readonly length: number | undefined) {}

  start(sink: BodySink): void {
    sink.fail(new Error('the answer to HEAD has no body'));
  }

  resume(): void {}

  cancel(): void {}
}

/** A body of unknown length from anything that Node iterates over, at the client's pace. See `BodySource` for what that costs. */
export class IterableBody implements BodySource {
  readonly length = undefined;
  private started = false;
  private over = false;
  /** The client has not taken what was written, and nobody has called `resume` since. */
  private behind = false;
  private wake: () => void = () => {};

  /**
   * @param close lets go of everything: called exactly once in every ending, never while the iteration is at work. A generator's own `finally`
   * is not enough, because it does not run where the iteration has never begun.
   */
  constructor(
    private readonly pieces: AsyncIterable<Uint8Array>,
    private readonly close: () => void,
  ) {}

  start(sink: BodySink): void {
    this.started = true;
    void this.send(sink);
  }

  resume(): void {
    this.behind = false;
    this.wake();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    if (this.started) this.resume();
    else this.close();
  }

  private async send(sink: BodySink): Promise<void> {
    let end = (): void => sink.end();
    try {
      for await (const bytes of this.pieces) {
        if (this.over) break;
        // Set before the write: the sink may call `resume` from inside it.
        this.behind = true;
        if (sink.write(bytes)) this.behind = false;
        if (this.behind) await this.caughtUp();
        if (this.over) break;
      }
    } catch (error) {
      end = () => sink.fail(error instanceof Error ? error : new Error(String(error)));
    }
    this.close();
    if (this.over) return;
    this.over = true;
    end();
  }

  private caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

/** A body that is larger than whoever collects it allows. */
export class BodyTooLarge extends Error {
  constructor(
    /** Undefined when nobody has counted to the end. */
    readonly size: number | undefined,
  ) {
    super('the body is larger than allowed');
    this.name = 'BodyTooLarge';
  }
}

/**
 * Rejects with a `BodyTooLarge`, with what the body fails with, or with the signal's reason; a source that is not needed to its end is
 * cancelled.
 * @param max bytes
 */
export function collectReply(reply: Reply, max: number, signal: AbortSignal): Promise<Buffer> {
  const { body } = reply;
  if (body === undefined) return Promise.resolve(Buffer.alloc(0));
  if (typeof body === 'object' && 'start' in body) return collectSource(body, max, signal);
  const bytes =
    typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.length > max ? Promise.reject(new BodyTooLarge(bytes.length)) : Promise.resolve(bytes);
}

function collectSource(source: BodySource, max: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    let over = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const cancel = (error: unknown): void =>
      finish(() => {
        source.cancel();
        reject(error);
      });
    const aborted = (): void => cancel(signal.reason);
    if (signal.aborted || (source.length ?? 0) > max) {
      cancel(signal.aborted ? signal.reason : new BodyTooLarge(source.length));
      return;
    }
    signal.addEventListener('abort', aborted);
    // A copy: the source takes its buffer back.
    const lend = (chunk: Uint8Array): boolean => {
      if (over) return false;
      length += chunk.length;
      if (length > max) {
        cancel(new BodyTooLarge(undefined));
        return false;
      }
      pieces.push(Buffer.from(chunk));
      return true;
    };
    source.start({
      write(chunk, free) {
        const more = lend(chunk);
        if (more) free?.();
        return more;
      },
      lend,
      end: () => finish(() => resolve(Buffer.concat(pieces, length))),
      fail: (error) => finish(() => reject(error)),
    });
  });
}
