/**
 * Large buffers for reading files, shared by all downloads: for clients that take what they get at once, so that few are enough.
 * They are used again, because as garbage they would pile up faster than they are collected.
 */

/** Bytes of each. */
const SIZE = 256 * 1024;
/** Downloads that may have one at a time. */
const MOST = 8;
/** Buffers that are kept when nobody has them. */
const KEPT = 2;

export class ReadBuffers {
  private readonly free: Buffer[] = [];
  private users = 0;

  /** Whether one more download may have one; it says `leave` when it has none any more. */
  enter(): boolean {
    if (this.users >= MOST) return false;
    this.users++;
    return true;
  }

  leave(): void {
    this.users--;
  }

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(SIZE);
  }

  /** One that nobody reads any more. Those of which nobody can say that are left to the collector. */
  give(buffer: Buffer): void {
    if (this.free.length < KEPT) this.free.push(buffer);
  }
}
