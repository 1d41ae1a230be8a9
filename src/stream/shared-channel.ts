/**
 * Joins all the clients of a stream to one backend: one process for every viewer. The backend never waits for a client; what a
 * client does not take in time is dropped by the route's rule, and counted.
 */
import { BackendLife } from './backend-life.ts';
import { Delivery } from './delivery.ts';
import type { Answered, Backend, BackendEvents, Question } from './ends.ts';
import { History } from './history.ts';
import { type ClientFacts, Member, nameOf } from './member.ts';
import { CLOSE, type Ending, Message } from './message.ts';
import type { Taken } from './private-channel.ts';
import { Resuming } from './resuming.ts';
import { Sessions } from './sessions.ts';
import type { News, SharedOptions, SharedParts } from './shared-options.ts';
import { openLine, parseTagged, tellLine } from './tagged.ts';

/** What a message costs in a client's buffer beside its data: frame, id, field names. Bytes. */
const FRAME = 64;

export class SharedChannel implements BackendEvents {
  readonly history: History;
  private readonly members = new Map<string, Member>();
  private readonly waiting = new Set<(ending: Ending | undefined) => void>();
  private readonly life: BackendLife;
  private readonly resuming: Resuming;
  private readonly delivery: Delivery;
  private readonly sessions = new Sessions();
  private over = false;
  /** How the last backend ended, until there is another. */
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
    this.delivery = new Delivery(options, parts.counts);
    this.resuming = new Resuming({
      history: this.history,
      replay: options.replay,
      binary: options.binary,
      backend: () => this.life.backend,
    });
    this.life = new BackendLife(options, {
      start: () => parts.start(this),
      inUse: () => !this.unused,
      started: (backend) => this.started(backend),
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
    return this.members.size === 0 && this.waiting.size === 0 && this.asking === 0;
  }

  /** Resolves when a backend runs or is about to be started again; rejects when it cannot be started. */
  ready(): Promise<void> {
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
    const current = this.life.backend?.currentNotice?.();
    if (current !== undefined) client.notice({ kind: 'notice', text: current });
    if (this.options.tagged) this.tell(openLine(member));
    return member;
  }

  leave(member: Member): void {
    clearTimeout(member.closing);
    if (!this.members.delete(member.id)) return;
    if (this.options.tagged) this.tell(tellLine(member, 'close', undefined));
    this.life.unused();
  }

  /** The client with this session, for a message that came by another way than its connection. */
  speaker(session: string, user: ClientFacts['user']): Member | undefined {
    const number = this.sessions.numberOf(session, user);
    return number === undefined ? undefined : this.members.get(nameOf(number));
  }

  /**
   * A message from a client. Resolves with the answer, if this backend answers messages one by one; otherwise with what became of
   * it. Rejects with an `HttpError` when no answer came.
   * @param type its media type, where the client has said one
   */
  async fromClient(member: Member | undefined, message: Buffer, type?: string): Promise<Answered | Taken> {
    const { backend } = this.life;
    const { counts } = this.parts;
    counts.in.value++;
    counts.inBytes.value += message.length;
    if (backend === undefined) {
      counts.drop('no_program');
      return 'away';
    }
    if (backend.ask !== undefined) {
      return (await this.ask(backend, { data: message, type, sender: member?.id })) || 'full';
    }
    if (backend.waiting > this.options.maxQueue) {
      counts.drop('input_overrun');
      return 'full';
    }
    backend.write(this.options.tagged ? tellLine(member, 'message', message) : message);
    return 'sent';
  }

  /** Gives one client a message of its own, outside of the stream's numbers. */
  answer(member: Member, data: Buffer): void {
    if (this.members.has(member.id))
      this.delivery.give(member, [new Message(data, this.options.binary, '', 0)], data.length);
    else this.parts.counts.drop('client_gone');
  }

  /** A message of this client got no answer. */
  unanswered(member: Member, why: string): void {
    this.parts.counts.drop('no_answer');
    this.parts.log.warn(why, { route: this.parts.counts.route });
    member.client.notice({ kind: 'notice', text: 'your message got no answer' });
  }

  /** What came after `cursor`; undefined while there is no news. */
  news(cursor: string | undefined): News | undefined {
    const resumed = this.resuming.from(cursor);
    this.resuming.heard(); // The poll goes on from its cursor.
    if (resumed.messages.length === 0 && resumed.missed === 0) return undefined;
    return { ...resumed, cursor: this.history.lastId, ending: undefined };
  }

  /** How the stream ended for a long-poll that followed it, and was between two requests then; undefined while it goes on. */
  endedAfter(cursor: string): Ending | undefined {
    return this.history.after(cursor) === undefined ? undefined : this.lastEnding;
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
  caughtUp(member: Member): void {
    this.delivery.caughtUp(member);
  }

  /** Closes one client behind what it has not taken. */
  close(member: Member, ending: Ending): void {
    this.delivery.close(member, ending);
  }

  // ---- the backend ----

  messages(batch: readonly Buffer[]): void {
    if (this.options.tagged) for (const line of batch) this.tagged(line);
    else this.publish(batch);
  }

  aside(line: Buffer): void {
    const message = new Message(line, !this.options.binary, '', 0);
    for (const member of this.members.values()) this.delivery.give(member, [message], line.length, 'stderr');
  }

  drained(): void {}

  ended(ending: Ending): void {
    if (this.over || this.life.ended(ending)) return;
    this.lastEnding = ending;
    this.closeAll(ending);
  }

  /** Tells everybody something about the stream. */
  notice(text: string): void {
    for (const { client } of this.members.values()) client.notice({ kind: 'notice', text });
  }

  /** The end of the stream, from our side. */
  finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.life.stop();
    this.closeAll(ending);
  }

  // ---- inside ----

  private publish(batch: readonly Buffer[]): void {
    const numbered = batch.map((data) => {
      const { id, sequence } = this.history.next();
      return new Message(data, this.options.binary, id, sequence);
    });
    for (const message of numbered) this.history.add(message);
    const bytes = bytesOf(numbered);
    for (const member of this.members.values()) this.delivery.give(member, numbered, bytes);
    for (const listener of [...this.waiting]) listener(undefined);
  }

  /** @param bytes of the batch's data: counted once for all members */
  private closeAll(ending: Ending): void {
    for (const member of [...this.members.values()]) this.delivery.close(member, ending);
    for (const listener of [...this.waiting]) listener(ending);
  }

  private replay(member: Member, after: string | undefined): void {
    const { messages, missed, at } = this.resuming.from(after);
    this.resuming.heard();
    member.client.notice({ kind: 'joined', id: at, facts: this.about(member) });
    if (missed !== 0) member.client.notice({ kind: 'missed', count: missed });
    const bytes = bytesOf(messages);
    // What it gets of the past at once does not make it slow.
    member.allowance = bytes + messages.length * FRAME;
    if (messages.length > 0) this.delivery.give(member, messages, bytes);
  }

  private about({ id, number, facts }: Member): { readonly [name: string]: string } {
    return { client: id, session: this.sessions.issue(number, facts.user) };
  }

  /** Tells a tagged program of a client. One that does not read its input is started again: it could not be told the truth any more. */
  private tell(line: Buffer): void {
    const { backend } = this.life;
    if (backend === undefined) return;
    if (backend.waiting <= this.options.maxQueue) backend.write(line);
    else {
      this.parts.counts.drop('input_overrun');
      this.ended({ code: CLOSE.internalError, reason: 'it does not read its input' });
    }
  }

  private async ask(backend: Backend, question: Question): Promise<Answered | false> {
    this.asking++;
    this.life.used();
    try {
      const answer = (await backend.ask?.(question)) ?? false;
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

  private started(backend: Backend): void {
    this.lastEnding = undefined;
    if (this.members.size === 0 && this.options.idleStop !== undefined) this.resuming.begun();
    if (this.options.tagged) for (const member of this.members.values()) backend.write(openLine(member));
  }
}

function bytesOf(batch: readonly Message[]): number {
  let bytes = 0;
  for (const { data } of batch) bytes += data.length;
  return bytes;
}
