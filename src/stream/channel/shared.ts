/**
 * Joins all the clients of a stream to one source: one process for every viewer. The source never waits for a client; what a
 * client does not take in time is dropped by the route's rule, and counted.
 */

import type { ClientMessage, MessageAnswer, Source, SourceEvents } from '../ends.ts';
import { History, type Position, portionFrom } from '../history/history.ts';
import { LongPollPositions } from '../history/positions.ts';
import { Replay, type StartPoint } from '../history/replay.ts';
import { CLOSE, type Ending, Message } from '../message.ts';
import { Delivery } from './delivery.ts';
import { type ClientFacts, Member, nameOf } from './member.ts';
import type { LongPollContent, SharedOptions, SharedParts } from './options.ts';
import type { SendResult } from './private.ts';
import { Roster } from './roster.ts';
import { Sessions } from './sessions.ts';
import { SourceSupervisor } from './supervisor.ts';
import { parseTagged } from './tagged.ts';

/** How long somebody who was answered a long-poll counts as present until it asks again. Milliseconds. */
const BETWEEN_LONG_POLLS = 10_000;

export class SharedChannel implements SourceEvents {
  readonly history: History;
  private readonly members = new Map<string, Member>();
  private readonly waiting = new Set<(ending: Ending | undefined) => void>();
  private readonly life: SourceSupervisor;
  private readonly replaying: Replay;
  private readonly delivery: Delivery;
  private readonly positions: LongPollPositions;
  private readonly roster: Roster | undefined;
  private readonly sessions = new Sessions();
  private over = false;
  /** How the last source ended, until there is another. */
  private lastEnding: Ending | undefined;
  private joined = 0;
  /** Messages whose answers are awaited: of clients that may have no other connection. */
  private asking = 0;

  constructor(
    epoch: string,
    private readonly options: SharedOptions,
    private readonly parts: SharedParts,
  ) {
    this.history = new History(epoch, options.history);
    this.delivery = new Delivery(options, parts.counts, this.history);
    this.positions = new LongPollPositions({ time: BETWEEN_LONG_POLLS, bytes: options.maxBehind }, () =>
      this.life.unused(),
    );
    if (options.tagged) this.roster = new Roster(() => this.life.source, options.maxQueue);
    this.replaying = new Replay({
      history: this.history,
      replay: options.replay,
      binary: options.binary,
      source: () => this.life.source,
    });
    this.life = new SourceSupervisor(options, {
      start: () => parts.start(this),
      inUse: () => !this.unused,
      started: () => this.started(),
      away: (why, milliseconds) => {
        parts.log.info('the program is started again', { route: parts.counts.route, ended: why, ms: milliseconds });
        this.notice(`the program has ended (${why}) and is started again`);
      },
      back: () => this.notice('it runs again'),
      emptied: () => parts.emptied(),
    });
  }

  /** Nobody is there and nothing waits for it. */
  get unused(): boolean {
    return this.members.size === 0 && this.waiting.size === 0 && this.asking === 0 && !this.positions.inUse;
  }

  /** Undefined: a source runs, or is about to be started again. Else resolves when that is so; rejects when it cannot be started. */
  ready(): Promise<void> | undefined {
    return this.life.ready();
  }

  /** `start = "boot"`: starts it now, and again until it runs. */
  boot(): void {
    this.life.boot();
  }

  // ---- clients ----

  /** @param after the id of the last message that the client has; undefined or "" for a client that is new */
  join(client: Member['client'], after: string | undefined, facts: ClientFacts): Member {
    const member = new Member(++this.joined, client, facts);
    this.members.set(member.id, member);
    if (this.over) {
      this.delivery.close(member, { code: CLOSE.goingAway, reason: 'this stream was closed, please come again' });
      return member;
    }
    this.life.used();
    this.replay(member, after);
    const current = this.life.source?.currentNotice?.();
    if (current !== undefined) client.notice({ kind: 'notice', text: current });
    this.roster?.opened(member);
    return member;
  }

  leave(member: Member): void {
    clearTimeout(member.closing);
    member.gone = true;
    member.position = undefined;
    if (!this.members.delete(member.id)) return;
    this.roster?.closed(member);
    this.life.unused();
  }

  /** The client with this session, for a message that came by another way than its connection. */
  speaker(session: string, user: ClientFacts['user']): Member | undefined {
    const number = this.sessions.numberOf(session, user);
    return number === undefined ? undefined : this.members.get(nameOf(number));
  }

  /**
   * A message from a client. Resolves with the answer, if this source answers messages one by one; otherwise with what became of
   * it. Rejects with an `HttpError` when no answer came.
   * @param type its media type, where the client has said one
   */
  async fromClient(member: Member | undefined, message: Buffer, type?: string): Promise<MessageAnswer | SendResult> {
    const { source } = this.life;
    const { counts } = this.parts;
    counts.in.value++;
    counts.inBytes.value += message.length;
    if (source === undefined) {
      counts.drop('no_program');
      return 'away';
    }
    if (source.ask !== undefined) {
      return (await this.ask(source, { data: message, type, sender: member?.id })) || 'full';
    }
    const hasRoom = this.roster?.message(member, message) ?? source.waiting <= this.options.maxQueue;
    if (!hasRoom) {
      counts.drop('input_overrun');
      return 'full';
    }
    if (this.roster === undefined) source.write(message);
    return 'sent';
  }

  /** Gives one client a message of its own, outside of the stream's numbers. */
  answer(member: Member, data: Buffer): void {
    if (this.members.has(member.id))
      this.delivery.unnumbered(member, new Message(data, this.options.binary, '', 0), 'stdout');
    else this.parts.counts.drop('client_gone');
  }

  /** A message of this client got no answer. */
  unanswered(member: Member, why: string): void {
    this.parts.counts.drop('no_answer');
    this.parts.log.warn(why, { route: this.parts.counts.route });
    this.delivery.notice(member, { kind: 'notice', text: 'your message got no answer' });
  }

  /** A message of this client was lost. */
  lost(member: Member): void {
    this.delivery.notice(member, { kind: 'notice', text: 'your message was lost: the program is away' });
  }

  /** Where a long-poll stands that has everything up to `cursor`, and what it has to get. */
  standing(cursor: string | undefined): StartPoint {
    const sequence = this.history.sequenceOf(cursor ?? '');
    const position = sequence === undefined ? undefined : this.positions.take(sequence);
    const beginning = this.replaying.from(cursor);
    this.replaying.clientListens(); // The long-poll goes on from its cursor.
    return position === undefined
      ? beginning
      : { from: position, missed: 0, snapshot: [], at: this.history.idOf(position) };
  }

  /** What a long-poll gets that stands there, at most so many bytes of messages, but one in any case. Its next one goes on from there. */
  news({ snapshot, from, missed }: StartPoint, most: number, ending: Ending | undefined): LongPollContent {
    const { batch, to } = portionFrom(from, most);
    this.expect(to);
    return {
      messages: [...snapshot, ...batch],
      missed,
      cursor: this.history.idOf(to),
      ending: to === this.history.end ? ending : undefined,
    };
  }

  /** A long-poll is likely to go on from here. */
  expect(position: Position): void {
    if (this.over) return;
    this.life.used();
    this.positions.hold(position);
  }

  /** How the stream ended for a long-poll that followed it, and was between two requests then; undefined while it goes on. */
  endedAfter(cursor: string): Ending | undefined {
    return this.history.sequenceOf(cursor) === undefined ? undefined : this.lastEnding;
  }

  /** Calls `listener` once at the next message or the end. Returns what takes it back. */
  onNews(listener: (ending: Ending | undefined) => void): () => void {
    this.life.used();
    this.waiting.add(listener);
    return () => {
      if (this.waiting.delete(listener)) this.life.unused();
    };
  }

  /** The client has taken everything. */
  clientDrain(member: Member): void {
    this.delivery.drain(member);
  }

  /** Closes one client behind what it has not taken. */
  close(member: Member, ending: Ending): void {
    this.delivery.close(member, ending);
  }

  // ---- the source ----

  messages(batch: readonly Buffer[]): void {
    if (this.options.tagged) for (const line of batch) this.tagged(line);
    else this.publish(batch);
  }

  stderr(line: Buffer): void {
    const message = new Message(line, !this.options.binary, '', 0);
    message.share();
    for (const member of this.members.values()) this.delivery.unnumbered(member, message, 'stderr');
    message.unshare();
  }

  drain(): void {
    this.roster?.tell();
  }

  ended(ending: Ending): void {
    if (this.over || this.life.ended(ending)) return;
    this.lastEnding = ending;
    this.closeAll(ending);
  }

  /** Tells everybody something about the stream. */
  notice(text: string): void {
    for (const member of this.members.values()) this.delivery.notice(member, { kind: 'notice', text });
  }

  /** The end of the stream, from our side. */
  finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.positions.clear();
    this.life.stop();
    this.closeAll(ending);
  }

  // ---- inside ----

  private publish(batch: readonly Buffer[]): void {
    const numbered = batch.map((data) => {
      const { id, sequence } = this.history.next();
      return new Message(data, this.options.binary, id, sequence);
    });
    let bytes = 0;
    for (const message of numbered) {
      bytes += message.data.length;
      this.history.add(message);
      message.share();
    }
    for (const member of this.members.values()) this.delivery.published(member, numbered, bytes);
    for (const message of numbered) message.unshare();
    this.positions.grown(this.history.end);
    for (const listener of [...this.waiting]) listener(undefined);
  }

  private closeAll(ending: Ending): void {
    for (const member of [...this.members.values()]) this.delivery.close(member, ending);
    for (const listener of [...this.waiting]) listener(ending);
  }

  private replay(member: Member, after: string | undefined): void {
    const { snapshot, from, missed, at } = this.replaying.from(after);
    this.replaying.clientListens();
    member.client.notice({ kind: 'joined', id: at, facts: this.about(member) });
    if (missed !== 0) member.client.notice({ kind: 'missed', count: missed });
    this.delivery.begin(member, snapshot, from);
  }

  private about({ id, number, facts }: Member): { readonly [name: string]: string } {
    return { client: id, session: this.sessions.issue(number, facts.user) };
  }

  private async ask(source: Source, message: ClientMessage): Promise<MessageAnswer | false> {
    this.asking++;
    this.life.used();
    try {
      const answer = (await source.ask?.(message)) ?? false;
      if (answer === false) this.parts.counts.drop('input_overrun');
      return answer;
    } finally {
      this.asking--;
      this.life.unused();
    }
  }

  private tagged(line: Buffer): void {
    const said = parseTagged(line);
    if (said === undefined) {
      this.parts.counts.drop('not_tagged');
      this.parts.log.warn('a line of a tagged program is not {"to": …, "data": …}', {
        route: this.parts.counts.route,
        line: line.toString('utf8', 0, 200),
      });
    } else if (said.to === undefined) this.publish([said.data]);
    else {
      for (const id of said.to) {
        const member = this.members.get(id);
        if (member === undefined) this.parts.counts.drop('client_gone');
        else this.answer(member, said.data);
      }
    }
  }

  private started(): void {
    this.lastEnding = undefined;
    if (this.members.size === 0 && this.options.idleStop !== undefined) this.replaying.sourceStarted();
    this.roster?.started(this.members.values());
  }
}
