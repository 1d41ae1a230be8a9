/** A lookup: one request for past messages of a shared stream, as JSON lines. It is no client: it starts no source and keeps none running. */
import type { HeaderList } from '../../engine/engine.ts';
import type { Answer } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import { IterableBody } from '../../http/reply-bodies.ts';
import { queryValue } from '../../net/query.ts';
import type { History } from '../history/history.ts';
import type { PastPortion } from '../history/past-reader.ts';
import type { Message } from '../message.ts';

/** Messages in one answer, where the request does not say, and where it asks for more. */
const USUAL_LIMIT = 1000;
const MAX_LIMIT = 10_000;
/** Bytes of data that are made lines in one turn of the event loop. */
const PORTION = 64 * 1024;

/** What a lookup gives: the messages behind the one with the number `from`, up to the one with the number `to`. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  /** It begins with the oldest that it may have, and has missed nothing before that. */
  readonly fresh: boolean;
  /** How many there were behind `?after=` that are not kept any more; undefined when nobody knows. */
  readonly missed: number | undefined;
}

/**
 * Answers `?transport=history`. With `?after=ID` it has the messages behind that one, the oldest first, so that the next request can ask
 * for what is behind the last line; without it the newest ones. Both in their order, and at most `?limit=` of them.
 * @param history undefined for a stream that nobody has opened yet, which has no messages
 */
export async function answerLookup(query: string | undefined, history: History | undefined): Promise<Answer> {
  const limit = limitOf(queryValue(query, 'limit'));
  if (limit === undefined) return textReply(400, '"limit" must be a whole number from 1 on\n');
  const headers: HeaderList = [
    ['content-type', 'application/x-ndjson'],
    ['cache-control', 'no-store'],
    ...newestId(history),
  ];
  if (history === undefined) return { status: 200, headers, body: '' };
  const lines = new PastLines(history, rangeOf(history, queryValue(query, 'after'), limit));
  const first = await lines.next();
  return { status: 200, headers, body: lines.over ? first : new IterableBody(portions(first, lines), () => undefined) };
}

/** The header field that names the newest message of a shared stream, as a client would in its next request. */
export function newestId(history: History | undefined): HeaderList {
  return history === undefined ? [] : [['last-event-id', history.lastId]];
}

function limitOf(written: string | undefined): number | undefined {
  if (written === undefined) return USUAL_LIMIT;
  if (!/^\d+$/.test(written) || Number(written) === 0) return undefined;
  return Math.min(Number(written), MAX_LIMIT);
}

function rangeOf(history: History, after: string | undefined, limit: number): Range {
  const to = history.end.sequence;
  if (after === undefined || after === '') return { from: history.lastOnes(limit), to, limit, missed: 0, fresh: true };
  // An id of an epoch that nobody knows: nor what its owner has, so it gets all that there is, as a client that comes back does.
  const resumed = history.after(after);
  const { from, earlier, missed } = resumed ?? { ...history.oldest(), missed: undefined };
  return { from: earlier?.sequence ?? from.sequence, to, limit, missed, fresh: resumed === undefined };
}

/**
 * The lines of one answer, made when they are asked for. Between two portions it holds no position, which would keep all that comes: whoever
 * reads so slowly that messages are gone meanwhile is told how many.
 */
class PastLines {
  over = false;
  private readonly past: AsyncGenerator<PastPortion, void>;
  private left: number;
  /** Messages that are gone, before the next one. */
  private missed: number | undefined;

  constructor(
    private readonly history: History,
    private readonly range: Range,
  ) {
    this.past = history.past(range.from, range.fresh, PORTION);
    this.left = range.limit;
    this.missed = range.missed;
  }

  /** The next lines: as many as a portion holds, at least one where there is one. */
  async next(): Promise<Buffer> {
    const { value: portion } = await this.past.next();
    let text = '';
    for (const timed of portion?.batch ?? []) {
      if (this.left === 0 || timed.message.sequence > this.range.to) break;
      if (timed === portion?.batch[0]) this.miss(portion.missed);
      text += this.line(timed.message, this.history.dateOf(timed));
      this.left--;
    }
    this.over = portion === undefined || this.left === 0 || portion.to >= this.range.to;
    if (this.over) await this.past.return();
    return Buffer.from(text);
  }

  private miss(count: number | undefined): void {
    if (this.missed !== undefined) this.missed = count === undefined ? undefined : this.missed + count;
  }

  private line({ id, binary, data }: Message, time: Date | undefined): string {
    const { missed } = this;
    this.missed = 0;
    const line = {
      id,
      ...(time === undefined ? {} : { time: time.toISOString() }),
      data: data.toString(binary ? 'base64' : 'utf8'),
      ...(binary ? { encoding: 'base64' } : {}),
      ...(missed === 0 ? {} : { missed: missed ?? null }),
    };
    return `${JSON.stringify(line)}\n`;
  }
}

async function* portions(first: Buffer, lines: PastLines): AsyncGenerator<Buffer> {
  yield first;
  while (!lines.over) {
    // Other work has its turn between two.
    await new Promise(setImmediate);
    yield await lines.next();
  }
}
