/**
 * Gives the messages of a shared stream to its clients. One that takes what it is given gets each message as it comes; one that does not
 * stands still in the chain, and is fed from there at its own pace. How far behind it may be, and what becomes of it then, is the
 * route's rule.
 */
import type { MessageOrigin, Notice } from '../clients/client.ts';
import type { StreamCounts } from '../counts.ts';
import { FRAME, newestFrom, type Position, portionFrom } from '../history/chain.ts';
import type { EarlierStart, History } from '../history/history.ts';
import { missedInAll, type PastPortion } from '../history/past-reader.ts';
import { CLOSE, type Ending, type Message } from '../message.ts';
import type { Member } from './member.ts';

export interface DeliveryRules {
  readonly slowClient: 'disconnect' | 'drop' | 'latest';
  /** Bytes that a client may be behind. */
  readonly maxBehind: number;
}

export interface DeliveryOptions extends DeliveryRules {
  /** Milliseconds that a client that is being closed has to take what it is behind. */
  readonly drainTimeout: number;
}

/** Bytes that a client is given at once of what waits for it: more is in its buffer only while it takes them. */
const WINDOW = 64 * 1024;

export class Delivery {
  constructor(
    private options: DeliveryOptions,
    private readonly counts: StreamCounts,
    private readonly history: Pick<History, 'end' | 'holds' | 'positionAfter' | 'earlier' | 'since'>,
  ) {}

  /** From here on other rules are in force. */
  use({ slowClient, maxBehind }: DeliveryRules): void {
    this.options = { ...this.options, slowClient, maxBehind };
  }

  /** The stream has gone on by this batch, which is the end of the chain. Gives whether it went to the member's socket. */
  publish(member: Member, batch: readonly Message[], bytes: number): boolean {
    if (member.position !== undefined) this.checkBound(member);
    else if (member.closing !== undefined || member.earlier !== undefined) return false;
    else if (member.skipping) this.skip(member, batch.length, batch.at(-1));
    else {
      this.give(member, batch, bytes, 'stdout');
      return true;
    }
    return false;
  }

  /** A message for this client that is not in the chain. */
  deliverUnnumbered(member: Member, message: Message, origin: MessageOrigin): void {
    if (member.closing !== undefined) return;
    if (member.skipping) this.skip(member, 1, origin === 'stdout' ? message : undefined);
    else if (member.position === undefined && member.earlier === undefined)
      this.give(member, [message], message.data.length, origin);
    else {
      member.unnumbered.push({ after: this.history.end.sequence, message, origin });
      member.unnumberedBytes += message.data.length + FRAME;
      this.checkBound(member);
    }
  }

  /**
   * What a client gets that has just joined: the past from this position on. It does not make it slow.
   * @param earlier where it begins in the files
   */
  begin(member: Member, first: readonly Message[], from: Position, earlier?: EarlierStart | undefined): void {
    const reader = earlier === undefined ? undefined : this.history.earlier(earlier);
    if (earlier !== undefined && reader !== undefined) {
      member.earlier = { reader, sequence: earlier.sequence, underWay: false };
      this.read(member);
      return;
    }
    const bytes = bytesOf(first);
    member.allowance = bytes + from.bytesTo(this.history.end);
    member.position = from;
    member.joinedAfter = this.history.end.sequence;
    if (first.length === 0 || this.give(member, first, bytes, 'stdout', from)) this.feed(member);
  }

  /** The client has taken everything that it was given. */
  drain(member: Member): void {
    if (member.earlier !== undefined) this.read(member);
    else if (member.skipping) this.rejoin(member);
    else this.feed(member);
  }

  /** A word beside the stream; not for a client whose buffer is full already, which may have caused it. */
  notice(member: Member, notice: Notice): void {
    if (member.client.bufferedAmount <= this.options.maxBehind + member.allowance) member.client.notice(notice);
  }

  /** Closes one client behind what it has not taken; one that takes nothing is dropped. */
  close(member: Member, ending: Ending): void {
    if (member.closing !== undefined) return;
    // The last that it is told is what it has missed, and the newest where that is the rule.
    if (member.skipping) this.rejoin(member);
    member.closing = setTimeout(() => member.client.terminate(), this.options.drainTimeout);
    if (member.position === undefined && member.earlier === undefined) member.client.close(ending);
    else member.goodbye = { ending, after: this.history.end.sequence };
  }

  /** @param position where it stands when it does not take more */
  private give(
    member: Member,
    batch: readonly Message[],
    bytes: number,
    origin: MessageOrigin,
    position: Position = this.history.end,
  ): boolean {
    const { counts } = this;
    counts.out.value += batch.length;
    counts.outBytes.value += bytes;
    if (member.client.deliver(batch, origin)) return true;
    member.position = position;
    if (member.client.bufferedAmount > this.options.maxBehind + member.allowance) this.fallBehind(member);
    return false;
  }

  /**
   * The next portion out of the files, when the client has taken the one before: it holds nothing of the chain until it has come to where
   * that is in memory.
   */
  private read(member: Member): void {
    const { earlier } = member;
    if (earlier === undefined || earlier.underWay || member.gone) return;
    if (this.history.holds(earlier.sequence)) {
      this.joinChain(member, earlier.sequence);
      return;
    }
    earlier.underWay = true;
    earlier.reader.next(WINDOW).then(
      (portion) => {
        earlier.underWay = false;
        if (!member.gone) this.giveEarlier(member, earlier, portion);
      },
      // What cannot be read is missed.
      () => {
        earlier.underWay = false;
        if (!member.gone) this.joinChain(member, earlier.sequence);
      },
    );
  }

  private giveEarlier(member: Member, earlier: { sequence: number }, { batch, to, missed }: PastPortion): void {
    if (batch.length === 0) {
      this.joinChain(member, to, missed);
      return;
    }
    if (missed !== 0) member.client.notice({ kind: 'missed', count: missed });
    earlier.sequence = to;
    const messages = batch.map(({ message }) => message);
    const bytes = bytesOf(messages);
    this.counts.out.value += messages.length;
    this.counts.outBytes.value += bytes;
    if (member.client.deliver(messages, 'stdout')) this.read(member);
  }

  /** From here on everything is in memory, but what is gone. */
  private joinChain(member: Member, sequence: number, missedBefore: number | undefined = 0): void {
    const from = this.history.positionAfter(sequence);
    const missed = missedInAll(missedBefore, Math.max(0, from.sequence - sequence));
    member.earlier = undefined;
    if (missed !== 0) member.client.notice({ kind: 'missed', count: missed });
    member.allowance = from.bytesTo(this.history.end) + member.unnumberedBytes + member.client.bufferedAmount;
    member.position = from;
    this.feed(member);
  }

  /** Goes on from where the client stands, until it does not take more or has everything. */
  private feed(member: Member): void {
    while (member.position !== undefined && !member.gone) {
      const { position, unnumbered, goodbye } = member;
      const [first] = unnumbered;
      if (first !== undefined && first.after <= position.sequence) {
        unnumbered.shift();
        member.unnumberedBytes -= first.message.data.length + FRAME;
        if (!this.give(member, [first.message], first.message.data.length, first.origin, position)) return;
        continue;
      }
      const { batch, bytes, to } = portionFrom(position, WINDOW, first?.after ?? goodbye?.after);
      if (batch.length === 0) this.catchUp(member);
      else {
        member.position = to;
        if (position.sequence >= member.joinedAfter) this.counts.deliveredLate(this.history.since(position));
        if (!this.give(member, batch, bytes, 'stdout', to)) return;
      }
    }
  }

  /** It has everything. */
  private catchUp(member: Member): void {
    member.position = undefined;
    if (member.client.bufferedAmount === 0) member.allowance = 0;
    if (member.goodbye !== undefined) member.client.close(member.goodbye.ending);
  }

  /** Whether what waits for a client is more than it may leave. */
  private checkBound(member: Member): void {
    const { position, earlier, unnumberedBytes, client, allowance } = member;
    if (earlier !== undefined && unnumberedBytes > this.options.maxBehind) {
      this.counts.drop('client_too_slow', member.unnumbered.length);
      member.unnumbered = [];
      member.unnumberedBytes = 0;
    }
    if (position === undefined) return;
    const waiting = position.bytesTo(this.history.end) + unnumberedBytes + client.bufferedAmount;
    if (waiting > this.options.maxBehind + allowance) this.fallBehind(member);
  }

  /** The client is further behind than it may be: what waits for it in the chain is dropped. */
  private fallBehind(member: Member): void {
    const { position = this.history.end, unnumbered, goodbye } = member;
    const count = this.history.end.sequence - position.sequence + unnumbered.length;
    member.position = undefined;
    member.unnumbered = [];
    member.unnumberedBytes = 0;
    if (goodbye !== undefined) {
      this.counts.drop('client_too_slow', count);
      member.client.close(goodbye.ending);
    } else if (this.options.slowClient === 'disconnect') {
      this.counts.drop('client_too_slow');
      this.close(member, { code: CLOSE.tryAgainLater, reason: 'you read more slowly than the stream sends' });
    } else {
      member.skipping = true;
      if (count > 0) this.skip(member, count, newestFrom(position) ?? unnumbered.findLast(isOut)?.message);
    }
  }

  private skip(member: Member, count: number, newest: Message | undefined): void {
    this.counts.drop('client_too_slow', count);
    member.skipped += count;
    if (this.options.slowClient === 'latest' && newest !== undefined) member.latest = newest;
  }

  /** The client is told what it missed, and gets messages again. */
  private rejoin(member: Member): void {
    const { skipped, latest } = member;
    member.skipping = false;
    member.skipped = 0;
    member.latest = undefined;
    member.allowance = 0;
    const missed = latest === undefined ? skipped : skipped - 1;
    if (missed > 0) member.client.notice({ kind: 'missed', count: missed });
    if (latest !== undefined) this.give(member, [latest], latest.data.length, 'stdout');
  }
}

function isOut({ origin }: { readonly origin: MessageOrigin }): boolean {
  return origin === 'stdout';
}

function bytesOf(batch: readonly Message[]): number {
  let bytes = 0;
  for (const { data } of batch) bytes += data.length;
  return bytes;
}
