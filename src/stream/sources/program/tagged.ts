/**
 * `clients = "tagged"`: a shared program is told who has come, spoken and left, and says to whom it answers. One JSON object a line:
 *
 *   in   {"client":"c1","event":"open","address":"192.168.1.7","query":"room=2"}
 *        {"client":"c1","event":"message","data":"hello"}
 *        {"client":"c1","event":"close"}
 *   out  {"to":"c1","data":"for one"}   {"to":["c1","c2"],"data":"for two"}   {"data":"for all"}
 *
 * `data` is text; another JSON value goes to the clients as JSON text.
 */

import type { Log } from '../../../ops/log.ts';
import type { SourceStatus } from '../../../ops/status.ts';
import type { StreamCounts } from '../../counts.ts';
import type { Ending } from '../../message.ts';
import type { ClientIdentity, SharedSource, SharedSourceEvents, SourceEvents, WritableSource } from '../source.ts';

export interface TaggedParts {
  readonly counts: StreamCounts;
  readonly log: Log;
  /** Bytes of clients' messages that may wait for the program. */
  readonly maxQueue: number;
}

interface Announcement {
  readonly client: ClientIdentity;
  readonly event: 'open' | 'close';
}

/**
 * Messages count against `max_queue`. Announcements of clients do not: while the program is behind, they wait here, one for each client.
 * So clients that come and go do not fill the queue, and the program never hears of one that left before it was announced.
 */
export class TaggedProgram implements SharedSource, SourceEvents {
  private readonly program: WritableSource;
  private readonly announcements = new Map<string, Announcement>();

  constructor(
    connect: (events: SourceEvents) => WritableSource,
    private readonly parts: TaggedParts,
    private readonly events: SharedSourceEvents,
  ) {
    this.program = connect(this);
  }

  // ---- from the clients ----

  send(sender: ClientIdentity | undefined, message: Buffer): 'sent' | 'full' {
    const { program } = this;
    if (program.waiting > this.parts.maxQueue) return 'full';
    // First that its sender is there. Then one of the other announcements, so that each has its turn however many messages come.
    if (sender !== undefined) this.announce(this.announcements.get(sender.id));
    program.write(tellLine(sender, 'message', message));
    for (const next of this.announcements.values()) {
      this.announce(next);
      break;
    }
    this.drain();
    return 'sent';
  }

  joined(client: ClientIdentity): void {
    this.announcements.set(client.id, { client, event: 'open' });
    this.drain();
  }

  left(client: ClientIdentity): void {
    const wasWaiting = this.announcements.delete(client.id);
    if (!wasWaiting) this.announcements.set(client.id, { client, event: 'close' });
    this.drain();
  }

  snapshot(): undefined {}

  currentNotice(): undefined {}

  status(): Partial<SourceStatus> {
    return this.program.status?.() ?? {};
  }

  release(): void {
    this.program.release();
  }

  // ---- from the program ----

  /** What one chunk says to all in a row goes to them together. */
  messages(batch: readonly Buffer[]): void {
    let toAll: Buffer[] = [];
    for (const line of batch) {
      const tagged = this.parse(line);
      if (tagged === undefined) continue;
      if (tagged.to === undefined) {
        toAll.push(tagged.data);
        continue;
      }
      this.tellAll(toAll);
      toAll = [];
      this.events.messageFor(tagged.to, tagged.data);
    }
    this.tellAll(toAll);
  }

  stderr(line: Buffer): void {
    this.events.stderr(line);
  }

  /** The program reads: it gets the announcements that wait. Half of the queue is left for messages. */
  drain(): void {
    for (const next of this.announcements.values()) {
      if (this.program.waiting > this.parts.maxQueue / 2) return;
      this.announce(next);
    }
  }

  ended(ending: Ending): void {
    this.events.ended(ending);
  }

  private tellAll(messages: readonly Buffer[]): void {
    if (messages.length > 0) this.events.messages(messages);
  }

  private parse(line: Buffer): TaggedMessage | undefined {
    const tagged = parseTagged(line);
    if (tagged !== undefined) return tagged;
    const { counts, log } = this.parts;
    counts.drop('not_tagged');
    log.warn('a line of a tagged program is not {"to": …, "data": …}', {
      route: counts.route,
      line: line.toString('utf8', 0, 200),
    });
    return undefined;
  }

  private announce(announcement: Announcement | undefined): void {
    if (announcement === undefined) return;
    const { client, event } = announcement;
    this.announcements.delete(client.id);
    this.program.write(event === 'open' ? openLine(client) : tellLine(client, 'close', undefined));
  }
}

const MAX_QUERY = 1024;

function openLine({ id, facts }: ClientIdentity): Buffer {
  const { address, user } = facts;
  // The client chooses it, and may choose a long one.
  const query = facts.query.slice(0, MAX_QUERY);
  return Buffer.from(
    JSON.stringify({ client: id, event: 'open', address, query, ...(user === undefined ? {} : { user: user.name }) }),
  );
}

/** @param client undefined for a message by POST from a client without a connection */
function tellLine(client: ClientIdentity | undefined, event: 'message' | 'close', message: Buffer | undefined): Buffer {
  const data = message === undefined ? {} : { data: message.toString() };
  return Buffer.from(JSON.stringify({ client: client?.id ?? null, event, ...data }));
}

/** What a program says: to these clients, or to all. */
export interface TaggedMessage {
  readonly to: readonly string[] | undefined;
  readonly data: Buffer;
}

/** Undefined for a line that is not in the format. */
export function parseTagged(line: Buffer): TaggedMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('data' in value)) return undefined;
  const data = Buffer.from(typeof value.data === 'string' ? value.data : JSON.stringify(value.data));
  if (!('to' in value)) return { to: undefined, data };
  const { to } = value;
  if (typeof to === 'string') return { to: [to], data };
  if (Array.isArray(to) && to.every((id): id is string => typeof id === 'string')) return { to, data };
  return undefined;
}
