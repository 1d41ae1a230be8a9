/** The numbers of one route that its channels count in, kept at hand because every message counts. */
import type { Series, Tallies } from '../ops/tallies.ts';

export class StreamCounts {
  readonly in: Series;
  readonly out: Series;
  readonly inBytes: Series;
  readonly outBytes: Series;

  constructor(
    readonly tallies: Tallies,
    readonly route: string,
  ) {
    this.in = tallies.messages.series(route, 'in');
    this.out = tallies.messages.series(route, 'out');
    this.inBytes = tallies.messageBytes.series(route, 'in');
    this.outBytes = tallies.messageBytes.series(route, 'out');
  }

  drop(reason: string, count = 1): void {
    this.tallies.dropped.add(count, this.route, reason);
  }

  /** A client has come, by this transport. */
  joined(transport: string): void {
    this.tallies.clients.add(1, this.route);
    this.tallies.clientsJoined.add(1, this.route, transport);
  }

  left(code: number): void {
    this.tallies.clients.add(-1, this.route);
    this.tallies.streamsClosed.add(1, this.route, codeLabel(code));
  }
}

/** A client may close with any code, and each label is a series for good: only those that RFC 6455 and its registry name are told apart. */
export function codeLabel(code: number): string {
  if (code >= 1000 && code <= 1015) return String(code);
  if (code >= 3000 && code < 4000) return '3xxx';
  return code >= 4000 && code < 5000 ? '4xxx' : 'other';
}
