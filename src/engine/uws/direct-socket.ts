/**
 * A second descriptor of a connection of uWebSockets.js, by which the bytes of a file go from the kernel's memory to the client without coming
 * here (`sendfile`). uWebSockets.js knows nothing of them, so nothing that it was given may wait in its memory meanwhile.
 */
import type { Descriptors } from '../descriptors.ts';

export class DirectSocket {
  private busy = false;
  private closed = false;

  constructor(
    private readonly descriptor: number,
    private readonly descriptors: Descriptors,
  ) {}

  /** `sent` is told how many bytes the connection has taken; 0 when it takes none now, is broken, or the file has none there. Not before that has been told again. */
  send(file: number, position: number, length: number, sent: (count: number) => void): void {
    this.busy = true;
    // In another thread: the disk may be slow. The descriptor is ours, so it stays this connection's even if that is closed meanwhile.
    this.descriptors.sendFile(this.descriptor, file, position, length, (count) => {
      this.busy = false;
      if (this.closed) this.descriptors.close(this.descriptor);
      sent(count);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (!this.busy) this.descriptors.close(this.descriptor);
  }
}
