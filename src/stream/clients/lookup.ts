/** A lookup: one request for past messages of a shared stream, as JSON lines. It is no client: it starts no source and keeps none running. */
import type { HeaderList } from '../../engine/engine.ts';
import type { Answer } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import { IterableBody } from '../../http/reply-bodies.ts';
import { queryValue } from '../../net/query.ts';
import type { History } from '../history/history.ts';
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
  /** How many there were behind `?after=` that are not kept any more; undefined when nobody knows. */
  readonly missed: number | undefined;
}

/**
 * Answers `?transport=history`. With `?after=ID` it has the messages behind that one, the oldest first, so that the next request can ask
 * for what is behind the last line; without it the newest ones. Both in their order, and at most `?limit=` of them.
 * @param history undefined for a stream that nobody has opened yet, which has no messages
 */
export function answerLookup(query: string | undefined, history: History | undefined): Answer {
  const limit = limitOf(queryValue(query, 'limit'));
  if (limit === undefined) return textReply(400, '"limit" must be a whole number from 1 on\n');
  const headers: HeaderList = [
    ['content-type', 'application/x-ndjson'],
    ['cache-control', 'no-store'],
    ...newestId(history),
  ];
  if (history === undefined) return { status: 200, headers, body: '' };
  const lines = new PastLines(history, rangeOf(history, queryValue(query, 'after'), limit));
  const first = lines.next();
  return { status: 200, headers, body: lines.over ? first : new IterableBody(portions(first, lines), () => undefined) };
}

/** The header field that names the newest message of a shared stream, as a client would in its next request. */
export function newestId(history: History | undefined): HeaderList {
  return history === undefined ? [] : [['last-event-id', history.lastId]];
}

function limitOf(written: string | undefined): number | undefined {
  if (written === undefined) return USUAL_LIMIT;
  if (!/^\d{1,9}$/.test(written) || Number(written) === 0) return undefined;
  return Math.min(Number(written), MAX_LIMIT);
}

function rangeOf(history: History, after: string | undefined, limit: number): Range {
  const { sequence } = history.end;
  if (after === undefined || after === '') {
    const { sequence: from } = history.positionAfter(Math.max(0, sequence - limit));
    return { from, to: sequence, missed: 0 };
  }
  // An id that is not one of this epoch: nobody knows what its owner has, so it gets all that there is, as a client that comes back does.
  const { from, missed } = history.after(after) ?? { from: history.beginning(), missed: undefined };
  return { from: from.sequence, to: Math.min(sequence, from.sequence + limit), missed };
}

/**
 * The lines of one answer, made when they are asked for. Between two portions it holds no position, which would keep all that comes: whoever
 * reads so slowly that messages are gone meanwhile is told how many.
 */
class PastLines {
  over = false;
  private readonly to: number;
  /** The number of the message before the next one. */
  private sequence: number;
  /** Messages that are gone, before the next one. */
  private missed: number | undefined;

  constructor(
    private readonly history: History,
    { from, to, missed }: Range,
  ) {
    this.to = to;
    this.sequence = from;
    this.missed = missed;
  }

  /** The next lines: as many as a portion holds, at least one where there is one. */
  next(): Buffer {
    let position = this.history.positionAfter(this.sequence);
    if (this.missed !== undefined) this.missed += position.sequence - this.sequence;
    let text = '';
    for (let bytes = 0; bytes < PORTION; ) {
      const { message, next } = position;
      if (message === undefined || next === undefined || message.sequence > this.to) break;
      text += this.line(message, this.history.timeOf(position));
      bytes += message.data.length;
      position = next;
    }
    this.sequence = position.sequence;
    this.over = position.next === undefined || position.sequence >= this.to;
    return Buffer.from(text);
  }

  private line({ id, binary, data }: Message, time: Date): string {
    const { missed } = this;
    this.missed = 0;
    const line = {
      id,
      time: time.toISOString(),
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
    yield lines.next();
  }
}
