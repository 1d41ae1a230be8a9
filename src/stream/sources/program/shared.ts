/** A program that many clients share: each line that one of them sends goes to its stdin, and nothing says whose it is. */
import type { SourceStatus } from '../../../ops/status.ts';
import type { ClientIdentity, SharedSource, WritableSource } from '../source.ts';

export class SharedProgram implements SharedSource {
  constructor(
    private readonly program: WritableSource,
    /** Bytes of clients' messages that may wait for it. */
    private readonly maxQueue: number,
  ) {}

  send(_sender: ClientIdentity | undefined, message: Buffer): 'sent' | 'full' {
    if (this.program.waiting > this.maxQueue) return 'full';
    this.program.write(message);
    return 'sent';
  }

  joined(): void {}

  left(): void {}

  snapshot(): undefined {}

  currentNotice(): undefined {}

  status(): Partial<SourceStatus> {
    return this.program.status?.() ?? {};
  }

  release(): void {
    this.program.release();
  }
}
