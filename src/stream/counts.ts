/** The numbers of one route that its channels count in, kept at hand because every message counts. */
import type { Member, Tallies } from '../ops/tallies.ts';

export class StreamCounts {
  readonly in: Member;
  readonly out: Member;
  readonly inBytes: Member;
  readonly outBytes: Member;

  constructor(
    readonly tallies: Tallies,
    readonly route: string,
  ) {
    this.in = tallies.messages.member(route, 'in');
    this.out = tallies.messages.member(route, 'out');
    this.inBytes = tallies.messageBytes.member(route, 'in');
    this.outBytes = tallies.messageBytes.member(route, 'out');
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
    this.tallies.streamsClosed.add(1, this.route, String(code));
  }
}
