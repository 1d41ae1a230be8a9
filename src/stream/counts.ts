/** The numbers of one route that its channels count in, kept at hand because every message counts. */
import type { Buckets } from '../ops/metrics/histogram.ts';
import type { Series } from '../ops/metrics/tally.ts';
import type { Tallies, ValuesOf } from '../ops/tallies.ts';

/** Why something was dropped. */
export type DropReason = ValuesOf<'dropped', 1>;
/** How a client gets messages, as it is counted. */
export type CountedTransport = ValuesOf<'clientsJoined', 1>;

export class StreamCounts {
  readonly in: Series;
  readonly out: Series;
  readonly inBytes: Series;
  readonly outBytes: Series;
  /** Made with the first use: only shared streams have them. */
  private prompt: Buckets | undefined;
  private behind: Buckets | undefined;

  constructor(
    readonly tallies: Tallies,
    readonly route: string,
  ) {
    this.in = tallies.messages.series(route, 'in');
    this.out = tallies.messages.series(route, 'out');
    this.inBytes = tallies.messageBytes.series(route, 'in');
    this.outBytes = tallies.messageBytes.series(route, 'out');
  }

  drop(reason: DropReason, count = 1): void {
    this.tallies.dropped.add(count, this.route, reason);
  }

  /** All viewers that keep up have what was read at this time, milliseconds of `performance.now()`. */
  delivered(read: number): void {
    this.prompt ??= this.tallies.deliveryTimes.series(this.route, 'prompt');
    this.prompt.observe((performance.now() - read) / 1000);
  }

  /** One that is behind has got it now. */
  deliveredLate(read: number): void {
    this.behind ??= this.tallies.deliveryTimes.series(this.route, 'behind');
    this.behind.observe((performance.now() - read) / 1000);
  }

  /** A client has come, by this transport. */
  joined(transport: CountedTransport): void {
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
