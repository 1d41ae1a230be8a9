/** What the bytes of an HTTP answer mean: events, parts, or messages by a framing. Pure but for its counts. */
import { type HeaderList, headerValue } from '../../../engine/engine.ts';
import { EventStreamReader, type ServerEvent } from '../../../upstream/event-stream.ts';
import { UpstreamError } from '../../../upstream/faults.ts';
import { boundaryOf, MultipartReader, type Part } from '../../../upstream/multipart.ts';
import { type Framing, FramingError, framing } from '../../framing.ts';
import type { Losses } from '../../jpeg.ts';
import { pictureType } from '../../message.ts';
import { asUtf8 } from '../poll/plan.ts';
import type { ResumePoint } from './subscription.ts';

export interface BodyRules {
  /** Undefined: as the Content-Type says. */
  readonly framing: Framing | undefined;
  /** Names of events; undefined for all. */
  readonly events: ReadonlySet<string> | undefined;
  /** What of an event is a message. */
  readonly message: 'data' | 'event';
  /** Bytes. */
  readonly maxMessage: number;
  /** Bytes of a part of a multipart answer. */
  readonly maxPart: number;
}

export interface Messages {
  readonly batch: readonly Buffer[];
  readonly binary: boolean;
  /** Their media type, where they are pictures. */
  readonly picture?: string | undefined;
}

/** Reads the body of one answer. */
export interface BodyDecoder {
  /** Milliseconds that the upstream wants to be left alone after its end. */
  readonly retry: number | undefined;
  /** Whether the next answer goes on where this one ends. */
  readonly isResumed: boolean;
  /** The messages that are whole now, in order. Throws an `UpstreamError`. */
  push(chunk: Buffer): readonly Messages[];
  /** The rest, after the last byte. Throws an `UpstreamError`. */
  end(): readonly Messages[];
  /** What was left out since this was asked last; undefined for nothing. */
  takeLosses(): Losses | undefined;
}

const LINES = /^\s*application\/(x-)?(ndjson|jsonl|jsonlines|json-lines|stream\+json)\b/i;

/** Undefined where the answer is nothing that was subscribed to. */
export function bodyDecoder(headers: HeaderList, rules: BodyRules, resume: ResumePoint): BodyDecoder | undefined {
  const type = headerValue(headers, 'content-type') ?? '';
  if (rules.framing !== undefined) return new FramedBody(rules.framing, rules.maxMessage, type);
  if (/^\s*text\/event-stream\b/i.test(type)) return new EventBody(rules, resume, charsetOf(type));
  if (rules.events !== undefined || rules.message === 'event') return undefined;
  const boundary = boundaryOf(type);
  if (boundary !== undefined) return new PartsBody(boundary, rules.maxPart);
  return LINES.test(type) ? new FramedBody(framing('lines'), rules.maxMessage, type) : undefined;
}

class EventBody implements BodyDecoder {
  private readonly reader: EventStreamReader;
  private oversized = 0;
  private counted = 0;

  constructor(
    private readonly rules: BodyRules,
    private readonly resume: ResumePoint,
    charset: string | undefined,
  ) {
    this.reader = new EventStreamReader(rules.maxMessage, charset);
  }

  get retry(): number | undefined {
    return this.reader.retry;
  }

  get isResumed(): boolean {
    return this.reader.lastEventId !== undefined;
  }

  push(chunk: Buffer): readonly Messages[] {
    const { reader, resume, rules } = this;
    const batch: Buffer[] = [];
    for (const event of reader.push(chunk)) {
      if (rules.events?.has(event.name) === false) continue;
      const message = this.messageOf(event);
      if (message.length > rules.maxMessage) this.oversized++;
      else batch.push(message);
    }
    resume.lastEventId = reader.lastEventId ?? resume.lastEventId;
    return batch.length === 0 ? [] : [{ batch, binary: false }];
  }

  /** An event that was not finished was none. */
  end(): readonly Messages[] {
    return [];
  }

  takeLosses(): Losses | undefined {
    const all = this.oversized + this.reader.oversized;
    const count = all - this.counted;
    this.counted = all;
    return tooLarge(count);
  }

  private messageOf({ name, data, id }: ServerEvent): Buffer {
    if (this.rules.message === 'data') return Buffer.from(data);
    return Buffer.from(JSON.stringify({ event: name, data, ...(id === undefined ? {} : { id }) }));
  }
}

class PartsBody implements BodyDecoder {
  readonly retry = undefined;
  readonly isResumed = false;
  private readonly reader: MultipartReader;
  private tooLarge = 0;
  private stray = 0;

  constructor(boundary: string, maxMessage: number) {
    this.reader = new MultipartReader(boundary, maxMessage);
  }

  push(chunk: Buffer): readonly Messages[] {
    return this.reader.push(chunk).map((part) => {
      const isText = isTextType(part);
      if (isText) return { batch: [asUtf8(part.data, part.type)], binary: false };
      return { batch: [part.data], binary: true, picture: pictureType(part.type) };
    });
  }

  end(): readonly Messages[] {
    return [];
  }

  takeLosses(): Losses | undefined {
    const { oversized, stray } = this.reader;
    const losses = { tooLarge: oversized - this.tooLarge, stray: stray - this.stray };
    this.tooLarge = oversized;
    this.stray = stray;
    return losses.tooLarge + losses.stray === 0 ? undefined : losses;
  }
}

class FramedBody implements BodyDecoder {
  readonly retry = undefined;
  readonly isResumed = false;
  private readonly decoder: ReturnType<Framing['decoder']>;

  constructor(
    private readonly framed: Framing,
    maxMessage: number,
    private readonly type: string,
  ) {
    this.decoder = framed.decoder(maxMessage);
  }

  push(chunk: Buffer): readonly Messages[] {
    return this.decoded(() => this.decoder.push(chunk));
  }

  end(): readonly Messages[] {
    return this.decoded(() => this.decoder.end());
  }

  takeLosses(): Losses | undefined {
    return this.decoder.takeLosses?.();
  }

  private decoded(decode: () => Buffer[]): readonly Messages[] {
    const { binary, picture } = this.framed;
    try {
      const batch = decode();
      if (batch.length === 0) return [];
      const isForeign = !binary && charsetOf(this.type) !== undefined;
      return [{ batch: isForeign ? batch.map((line) => asUtf8(line, this.type)) : batch, binary, picture }];
    } catch (error) {
      throw error instanceof FramingError ? new UpstreamError(error.message) : error;
    }
  }
}

function tooLarge(count: number): Losses | undefined {
  return count === 0 ? undefined : { tooLarge: count, stray: 0 };
}

function charsetOf(type: string): string | undefined {
  return /;\s*charset\s*=\s*"?([A-Za-z0-9_.:-]+)/i.exec(type)?.[1];
}

function isTextType({ type }: Part): boolean {
  return /^\s*(text\/|application\/([^;\s]+\+)?(json|xml)\b|application\/x-ndjson\b)/i.test(type);
}
