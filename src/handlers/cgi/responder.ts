/** What answers a request by writing a header and a document: a CGI program, or a FastCGI application over its connection. */
import type { Output } from '../../process/spawn.ts';

export interface Responder {
  /** Header and document. Closes after its end, or without one. */
  readonly stdout: Output;
  readonly stderr: Output | undefined;
  /** Settles as soon as it is known how it ended; output may still be on its way then. */
  readonly ended: Promise<Ending>;
  /** Settles when nothing is left of it. */
  readonly over: Promise<void>;
}

export interface Ending {
  /** For the log: "exit 3", "signal SIGSEGV". */
  readonly how: string;
  /** What it has written is not to be taken for whole. */
  readonly cut: boolean;
  /** It did not even begin, for want of room. */
  readonly busy?: boolean;
}
