/**
 * Tells a tagged program who has come, spoken and left, within what it reads. Messages are bound by `max_queue`. Who is there is no
 * message: while the program is behind, it waits here, one entry for each client, so that nobody's coming and going fills the queue, and
 * somebody who leaves before the program has heard of it is never spoken of.
 */
import type { Source } from '../ends.ts';
import type { Member } from './member.ts';
import { openLine, tellLine } from './tagged.ts';

interface Announcement {
  readonly member: Member;
  readonly event: 'open' | 'close';
}

export class Roster {
  private readonly announcements = new Map<number, Announcement>();

  constructor(
    /** The one that runs. */
    private readonly source: () => Source | undefined,
    /** Bytes that may wait for it. */
    private readonly maxQueue: number,
  ) {}

  /** Another program runs, and knows nobody. */
  started(members: Iterable<Member>): void {
    this.announcements.clear();
    for (const member of members) this.announcements.set(member.number, { member, event: 'open' });
    this.tell();
  }

  opened(member: Member): void {
    if (this.source() === undefined) return;
    this.announcements.set(member.number, { member, event: 'open' });
    this.tell();
  }

  closed(member: Member): void {
    if (this.source() === undefined) return;
    const wasUntold = this.announcements.delete(member.number);
    if (!wasUntold) this.announcements.set(member.number, { member, event: 'close' });
    this.tell();
  }

  /** False: there is no room. @param member undefined for somebody who has no connection */
  message(member: Member | undefined, message: Buffer): boolean {
    const source = this.source();
    if (source === undefined || source.waiting > this.maxQueue) return false;
    // First that it is there. Then one of the others, so that they come to their turn however much is said.
    if (member !== undefined) this.write(source, this.announcements.get(member.number));
    source.write(tellLine(member, 'message', message));
    for (const next of this.announcements.values()) {
      this.write(source, next);
      break;
    }
    this.tell();
    return true;
  }

  /** The program reads: it hears of those who wait. Half of the queue is left for messages. */
  tell(): void {
    const source = this.source();
    if (source === undefined) return;
    for (const next of this.announcements.values()) {
      if (source.waiting > this.maxQueue / 2) return;
      this.write(source, next);
    }
  }

  private write(source: Source, announcement: Announcement | undefined): void {
    if (announcement === undefined) return;
    const { member, event } = announcement;
    this.announcements.delete(member.number);
    source.write(event === 'open' ? openLine(member) : tellLine(member, 'close', undefined));
  }
}
