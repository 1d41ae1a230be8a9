/** Memory for what is written in another turn, used again and again: of new memory every page costs a fault. */

/** Of one piece of memory: more than what is read at a time anywhere here. Bytes. */
const SIZE = 128 * 1024;
/** Below this the C library has memory at hand. Bytes. */
const WORTH_IT = 8 * 1024;
/** How many are kept. */
const MAX_KEPT = 4;

/** A copy, and what says that nobody needs it any more. */
export interface Copy {
  readonly bytes: Buffer;
  readonly free: (() => void) | undefined;
}

export class Copies {
  private readonly kept: Buffer[] = [];

  of(chunk: Uint8Array): Copy {
    if (chunk.length < WORTH_IT || chunk.length > SIZE) return { bytes: Buffer.from(chunk), free: undefined };
    const memory = this.kept.pop() ?? Buffer.allocUnsafeSlow(SIZE);
    memory.set(chunk);
    const free = (): void => {
      if (this.kept.length < MAX_KEPT) this.kept.push(memory);
    };
    return { bytes: memory.subarray(0, chunk.length), free };
  }
}
