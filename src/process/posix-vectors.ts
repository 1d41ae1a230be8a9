/** The argument vector and the environment of a program, as execve(2) wants them: tables of pointers to NUL-ended strings. */

/** The kernel allows a quarter of the stack's limit, 2 MiB by default; nobody needs more than this. */
const MAX_BYTES = 8 << 20;
/** A block above this size is not kept for the next program. */
const KEEP_BYTES = 256 << 10;
const FIRST_BYTES = 8 << 10;

/** Memory for the vectors of one start at a time. It lies outside V8's heap and does not move. */
export class VectorMemory {
  private block = Buffer.alloc(0);
  private base = 0n;

  constructor(
    private readonly pointerSize: number,
    private readonly address: (buffer: Buffer) => bigint,
  ) {}

  /**
   * Writes both; the addresses are good until the next call. Answers the system's name of what is wrong instead: E2BIG, or
   * EINVAL for a NUL, which would end a string early, so that what follows it could pass for a variable of its own.
   */
  write(
    argv: readonly string[],
    env: ReadonlyMap<string, string>,
  ): { argv: bigint; envp: bigint } | 'E2BIG' | 'EINVAL' {
    const variables = Array.from(env, ([name, value]) => `${name}=${value}`);
    const strings = [...argv, ...variables];
    if (strings.some((string) => string.includes('\0'))) return 'EINVAL';
    const tables = (strings.length + 2) * this.pointerSize;
    // UTF-8 takes at most three bytes for one unit of a string.
    const needed = strings.reduce((sum, string) => sum + string.length * 3 + 1, tables);
    if (needed > MAX_BYTES) return 'E2BIG';
    this.makeRoom(needed);
    this.block.fill(0, 0, tables);
    let free = tables;
    strings.forEach((string, index) => {
      // The null pointer between the two tables is one slot.
      this.writePointer(index < argv.length ? index : index + 1, this.base + BigInt(free));
      free += this.block.write(string, free);
      this.block[free++] = 0;
    });
    return { argv: this.base, envp: this.base + BigInt((argv.length + 1) * this.pointerSize) };
  }

  private makeRoom(needed: number): void {
    const large = this.block.length > KEEP_BYTES;
    if (needed <= this.block.length && !large) return;
    this.block = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed));
    this.base = this.address(this.block);
  }

  private writePointer(slot: number, value: bigint): void {
    if (this.pointerSize === 8) this.block.writeBigUInt64LE(value, slot * 8);
    else this.block.writeUInt32LE(Number(value), slot * 4);
  }
}
