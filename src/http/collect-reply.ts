/** A reply's body in memory, for whoever asks a handler of ours instead of a client. */
import type { BodySource, Reply } from '../engine/engine.ts';

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
    source.start({
      write(chunk, free) {
        if (over) return false;
        length += chunk.length;
        if (length > max) {
          cancel(new BodyTooLarge(undefined));
          return false;
        }
        // A copy: with `free` the source takes its buffer back.
        pieces.push(Buffer.from(chunk));
        free?.();
        return true;
      },
      end: () => finish(() => resolve(Buffer.concat(pieces, length))),
      fail: (error) => finish(() => reject(error)),
    });
  });
}
