/** Gives the messages of a shared stream to a client: what becomes of one that does not take them in time is the route's rule. */
import type { StreamCounts } from './counts.ts';
import type { Origin } from './ends.ts';
import type { Member } from './member.ts';
import { CLOSE, type Ending, type Message } from './message.ts';
import type { SharedOptions } from './shared-options.ts';

export class Delivery {
  constructor(
    private readonly options: Pick<SharedOptions, 'slowClient' | 'maxBehind' | 'drainTimeout'>,
    private readonly counts: StreamCounts,
  ) {}

  /** The client has taken everything. */
  caughtUp(member: Member): void {
    member.allowance = 0;
    if (!member.skipping) return;
    const { skipped, latest } = member;
    member.skipping = false;
    member.skipped = 0;
    member.latest = undefined;
    const missed = latest === undefined ? skipped : skipped - 1;
    if (missed > 0) member.client.notice({ kind: 'missed', count: missed });
    if (latest !== undefined) this.give(member, [latest], latest.data.length);
  }

  /** Gives a client messages, by the rule for those that are behind. */
  give(member: Member, batch: readonly Message[], bytes: number, origin: Origin = 'stdout'): void {
    const { counts } = this;
    if (member.closing !== undefined) return;
    if (member.skipping) {
      counts.drop('client_too_slow', batch.length);
      member.skipped += batch.length;
      if (this.options.slowClient === 'latest' && origin === 'stdout') member.latest = batch.at(-1);
      return;
    }
    counts.out.value += batch.length;
    counts.outBytes.value += bytes;
    if (
      !member.client.deliver(batch, origin) &&
      member.client.bufferedAmount > this.options.maxBehind + member.allowance
    )
      this.behind(member);
  }

  /** Closes one client behind what it has not taken; one that takes nothing is dropped. */
  close(member: Member, ending: Ending): void {
    if (member.closing !== undefined) return;
    // The last that it is told is what it has missed, and the newest where that is the rule.
    if (member.skipping) this.caughtUp(member);
    member.closing = setTimeout(() => member.client.terminate(), this.options.drainTimeout);
    member.client.close(ending);
  }

  private behind(member: Member): void {
    if (this.options.slowClient !== 'disconnect') {
      member.skipping = true;
      return;
    }
    this.counts.drop('client_too_slow');
    this.close(member, { code: CLOSE.tryAgainLater, reason: 'you do not read as fast as the stream goes' });
  }
}
