/**
 * Joins all the clients of a stream to one source: one process for every viewer. The source never waits for a client; what a
 * client does not take in time is dropped by the route's rule, and counted.
 */
import type { Log } from '../../ops/log.ts';
import { type Client, type MessageOrigin, partialNotice } from '../clients/client.ts';
import type { StreamCounts } from '../counts.ts';
import { newestFrom } from '../history/chain.ts';
import type { History } from '../history/history.ts';
import { Replay, type ReplayRule } from '../history/replay.ts';
import { CLOSE, type Ending, Message, makeMessage } from '../message.ts';
import type { ClientFacts, MessageAnswer, SendResult, SharedSource, SharedSourceEvents } from '../sources/source.ts';
import { SourceSupervisor, type SupervisorOptions } from '../sources/supervisor.ts';
import { Delivery, type DeliveryOptions, type DeliveryRules } from './delivery.ts';
import { LongPolls } from './long-polls.ts';
import { Member, nameOf } from './member.ts';
import { Sessions } from './sessions.ts';
import type { ChannelFacts, Viewer } from './status.ts';

/** What the route's configuration decides. */
export interface SharedChannelOptions extends DeliveryOptions, SupervisorOptions {
  /** What a client that joins anew gets of it. */
  readonly replay: ReplayRule;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
  /** Their media type, where the framing says that they are pictures. */
  readonly picture?: string | undefined;
  /** What is in force instead from the first picture on. */
  readonly ofPictures?: DeliveryRules & { readonly replay: ReplayRule };
  /** What a client is told that sends more than the source takes. */
  readonly overrun: string;
  /** Why a client's message is lost while no source runs. */
  readonly away: string;
}

export interface SharedChannelParts {
  /** Of the stream's channels, since it began. */
  readonly number: number;
  readonly counts: StreamCounts;
  readonly log: Log;
  /** Starts a source that tells `events`. */
  start(events: SharedSourceEvents): Promise<SharedSource>;
  /** The source was stopped, or could not be started, and there is no client. */
  emptied(): void;
}

/** What a message that a source does not take is counted as. */
const DROPS = { full: 'input_overrun', away: 'no_source' } as const;

export class SharedChannel implements SharedSourceEvents {
  readonly longPolls: LongPolls;
  private readonly members = new Map<string, Member>();
  private readonly supervisor: SourceSupervisor;
  private readonly replay: Replay;
  private readonly replayed: { rule: ReplayRule };
  private readonly delivery: Delivery;
  readonly number: number;
  private readonly sessions = new Sessions();
  private over = false;
  private hasPictures = false;
  /** The last message, whatever the history keeps. */
  private newest: Message | undefined;
  private newestSince = 0;
  /** It is of the source that runs. */
  private isFresh = false;
  private joined = 0;
  /** Messages whose answers are awaited: of clients that may have no other connection. */
  private unanswered = 0;

  constructor(
    readonly history: History,
    private readonly options: SharedChannelOptions,
    private readonly parts: SharedChannelParts,
  ) {
    this.number = parts.number;
    this.delivery = new Delivery(options, parts.counts, this.history);
    const replayed = {
      history: this.history,
      rule: options.replay,
      binary: options.binary,
      snapshot: () => this.supervisor.source?.snapshot(),
    };
    this.replayed = replayed;
    this.replay = new Replay(replayed);
    if (options.picture !== undefined) this.showPictures();
    this.longPolls = new LongPolls({
      history: this.history,
      replay: this.replay,
      maxBehind: options.maxBehind,
      used: () => this.supervisor.used(),
      unused: () => this.supervisor.unused(),
    });
    this.supervisor = new SourceSupervisor(options, {
      log: parts.log,
      route: parts.counts.route,
      start: () => parts.start(this),
      inUse: () => !this.unused,
      started: (source) => this.started(source),
      notice: (text) => this.notice(text),
      emptied: () => parts.emptied(),
    });
  }

  /** There is no client, and none is expected. */
  get unused(): boolean {
    return this.members.size === 0 && this.unanswered === 0 && !this.longPolls.inUse;
  }

  /** Undefined: a source runs, or is about to be started again. Else resolves when that is so; rejects when it cannot be started. */
  ready(): Promise<void> | undefined {
    return this.supervisor.ready();
  }

  /** The last message: a new one, of the source that runs now, or else an old one; undefined where there is none. */
  last(age: 'new' | 'any'): Message | undefined {
    const snapshot = this.supervisor.source?.snapshot();
    const { end, lastId } = this.history;
    if (snapshot !== undefined) return new Message(snapshot, this.options.binary, lastId, end.sequence);
    if (age === 'new') return this.isFresh && this.away === undefined ? this.newest : undefined;
    return this.newest ?? newestFrom(this.history.beforeLast());
  }

  /** Milliseconds since the last message came; undefined where it came to an earlier run of the gateway. */
  get age(): number | undefined {
    return this.newest === undefined ? undefined : performance.now() - this.newestSince;
  }

  /** Why nothing comes at present; undefined where nothing is wrong. */
  get away(): string | undefined {
    return this.supervisor.source === undefined ? this.options.away : this.supervisor.source.currentNotice();
  }

  /** `start = "boot"`: starts it now, and again until it runs. */
  boot(): void {
    this.supervisor.boot();
  }

  /** The end of the stream, from our side. */
  finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.supervisor.stop();
    this.closeAll(ending);
    this.longPolls.close(ending);
  }

  // ---- for the operator ----

  /** @param name which of the stream's channels it is; @param shown whether its messages may be shown */
  status(name: string, shown: boolean): ChannelFacts {
    const { supervisor, history, longPolls } = this;
    const source = supervisor.status();
    return {
      id: String(this.number),
      name,
      source,
      restarts: supervisor.restarts,
      history,
      shown,
      viewers: this.viewers(),
      polls: longPolls.size,
    };
  }

  private *viewers(): Iterable<Viewer> {
    const { end } = this.history;
    for (const { id, client, facts, position, unnumberedBytes } of this.members.values())
      yield { id, client, facts, waiting: (position?.bytesTo(end) ?? 0) + unnumberedBytes };
  }

  /** Ends the connection of a client; false where there is none of this name. */
  endClient(id: string, ending: Ending): boolean {
    const member = this.members.get(id);
    if (member !== undefined) this.close(member, ending);
    return member !== undefined;
  }

  // ---- clients ----

  /** @param after the id of the last message that the client has; undefined or "" for a client that is new */
  join(client: Client, after: string | undefined, facts: ClientFacts): Member {
    const member = new Member(++this.joined, client, facts);
    this.members.set(member.id, member);
    if (this.over) {
      this.delivery.close(member, { code: CLOSE.goingAway, reason: 'this stream was closed; please reconnect' });
      return member;
    }
    this.supervisor.used();
    this.begin(member, after);
    const { source } = this.supervisor;
    const current = source?.currentNotice();
    if (current !== undefined) client.notice({ kind: 'notice', text: current });
    source?.joined(member);
    return member;
  }

  leave(member: Member): void {
    clearTimeout(member.closing);
    member.gone = true;
    member.position = undefined;
    if (!this.members.delete(member.id)) return;
    this.supervisor.source?.left(member);
    this.supervisor.unused();
  }

  /** The client with this session, for a message that came by another way than its connection. */
  sender(session: string, user: ClientFacts['user']): Member | undefined {
    const number = this.sessions.numberOf(session, user);
    return number === undefined ? undefined : this.members.get(nameOf(number));
  }

  /**
   * A message from a client. Gives what became of it; where the source answers messages one by one, a promise of the answer, which
   * rejects with an `HttpError` when none came.
   * @param type its media type, where the client has said one
   * @param binary whether it came as a binary message
   */
  send(
    member: Member | undefined,
    message: Buffer,
    type?: string,
    binary = this.options.binary,
  ): SendResult | Promise<MessageAnswer> {
    const { counts } = this.parts;
    counts.in.value++;
    counts.inBytes.value += message.length;
    const { source } = this.supervisor;
    if (source === undefined) {
      counts.drop('no_program');
      return 'away';
    }
    const result = source.send(member, message, type, binary);
    if (typeof result === 'string' && result !== 'sent') counts.drop(DROPS[result]);
    return result instanceof Promise ? this.answered(result) : result;
  }

  /** Gives one client a message of its own, outside of the stream's numbers. */
  answer(member: Member, data: Buffer): void {
    if (this.members.has(member.id))
      this.delivery.deliverUnnumbered(member, new Message(data, this.options.binary, '', 0), 'stdout');
    else this.parts.counts.drop('client_gone');
  }

  /** A message of this client got no answer. */
  tellUnanswered(member: Member, why: string): void {
    this.parts.counts.drop('no_answer');
    this.parts.log.warn(why, { route: this.parts.counts.route });
    this.delivery.notice(member, { kind: 'notice', text: 'your message got no answer' });
  }

  /** A message of this client was lost. */
  tellLost(member: Member): void {
    this.delivery.notice(member, { kind: 'notice', text: `your message was lost: ${this.options.away}` });
  }

  /** The source does not take what this client sends. */
  overrun(member: Member): void {
    this.close(member, { code: CLOSE.tryAgainLater, reason: this.options.overrun });
  }

  /** The client does not answer. */
  vanished(member: Member): void {
    this.parts.counts.drop('client_vanished');
    member.client.terminate();
  }

  /** The client has taken everything that it was given. */
  clientDrain(member: Member): void {
    this.delivery.drain(member);
  }

  /** Closes one client behind what it has not taken. */
  close(member: Member, ending: Ending): void {
    this.delivery.close(member, ending);
  }

  // ---- the source ----

  messages(batch: readonly Buffer[], binary = this.options.binary, picture = this.options.picture): void {
    // The history may be another stream's already.
    if (this.over) return;
    if (picture !== undefined && !this.hasPictures) this.showPictures();
    const numbered: Message[] = [];
    const read = performance.now();
    let bytes = 0;
    for (const data of batch) {
      const { id, sequence } = this.history.next();
      const message = makeMessage(data, binary, id, sequence, picture);
      bytes += message.data.length;
      this.history.add(message, read);
      numbered.push(message);
      this.newest = message;
    }
    this.newestSince = read;
    this.isFresh = true;
    if (this.members.size > 0) this.deliver(numbered, bytes, read);
    this.longPolls.publish();
  }

  private deliver(numbered: readonly Message[], bytes: number, read: number): void {
    for (const message of numbered) message.share();
    let delivered = false;
    for (const member of this.members.values()) if (this.delivery.publish(member, numbered, bytes)) delivered = true;
    if (delivered) this.parts.counts.delivered(read);
    for (const message of numbered) message.unshare();
  }

  messageFor(clients: readonly string[], message: Buffer): void {
    for (const id of clients) {
      const member = this.members.get(id);
      if (member === undefined) this.parts.counts.drop('client_gone');
      else this.answer(member, message);
    }
  }

  stderr(line: Buffer): void {
    const message = new Message(line, !this.options.binary, '', 0);
    message.share();
    for (const member of this.members.values()) this.delivery.deliverUnnumbered(member, message, 'stderr');
    message.unshare();
  }

  /** Only for those who have all that came before it. */
  partial(text: Buffer, origin: MessageOrigin): void {
    const notice = partialNotice(text, origin);
    for (const member of this.members.values())
      if (member.position === undefined && member.earlier === undefined && !member.skipping)
        this.delivery.notice(member, notice);
  }

  notice(text: string): void {
    for (const member of this.members.values()) this.delivery.notice(member, { kind: 'notice', text });
  }

  lastId(): string {
    return this.newest?.id ?? this.history.lastId;
  }

  kept(): Promise<boolean> | undefined {
    return this.history.kept();
  }

  /** No client of a shared stream was held back. */
  drain(): void {}

  ended(ending: Ending): void {
    if (this.over || this.supervisor.ended(ending)) return;
    this.closeAll(ending);
    this.longPolls.sourceEnded(ending);
  }

  // ---- inside ----

  /** They are delivered by rules of their own. */
  private showPictures(): void {
    const { ofPictures } = this.options;
    this.hasPictures = true;
    if (ofPictures === undefined) return;
    this.delivery.use(ofPictures);
    this.replayed.rule = ofPictures.replay;
  }

  private started(source: SharedSource): void {
    this.isFresh = false;
    this.longPolls.sourceStarted();
    if (this.members.size === 0 && this.options.idleStop !== undefined) this.replay.sourceStarted();
    for (const member of this.members.values()) source.joined(member);
  }

  /** What a client gets first. */
  private begin(member: Member, after: string | undefined): void {
    const { snapshot, from, missed, at, earlier } = this.replay.from(after);
    this.replay.clientListens();
    const { id, number, facts } = member;
    const session = this.sessions.issue(number, facts.user);
    member.client.notice({ kind: 'joined', id: at, facts: { client: id, session } });
    if (missed !== 0) member.client.notice({ kind: 'missed', count: missed });
    this.delivery.begin(member, snapshot, from, earlier);
  }

  private async answered(answer: Promise<MessageAnswer>): Promise<MessageAnswer> {
    this.unanswered++;
    this.supervisor.used();
    try {
      return await answer;
    } finally {
      this.unanswered--;
      this.supervisor.unused();
    }
  }

  private closeAll(ending: Ending): void {
    for (const member of [...this.members.values()]) this.delivery.close(member, ending);
  }
}
