/**
 * A second descriptor of a connection of uWebSockets.js, by which the bytes of a file go from the kernel's memory to the client without coming
 * here (`sendfile`). uWebSockets.js knows nothing of them, so nothing that it was given may wait in its memory meanwhile.
 */
import type { Descriptors } from '../descriptors.ts';
import { CANNOT_SEND } from '../file-sender.ts';

export class DirectSocket {
  private closed = false;

  constructor(
    /** Ours: its number stays this connection's even when that is closed meanwhile. */
    private readonly descriptor: number,
    private readonly descriptors: Descriptors,
  ) {}

  /** As `fileSender`. */
  send(file: number, position: number, length: number): number {
    return this.closed ? CANNOT_SEND : this.descriptors.sendFile(this.descriptor, file, position, length);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.descriptors.close(this.descriptor);
  }
}
