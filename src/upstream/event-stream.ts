/**
 * Reads an event stream (HTML standard, section 9.2.6): at any split, bounded by the largest event. Pure. The module runnel/client loads this
 * file, so it imports nothing of ours.
 */
import { StringDecoder } from 'node:string_decoder';

export interface ServerEvent {
  readonly name: string;
  /** Undefined where the event has none of its own. */
  readonly id: string | undefined;
  readonly data: string;
}

/** Longest id that is kept: it goes into the head of the next request. Characters. */
const MAX_ID = 2048;

export class EventStreamReader {
  /** Of the last event that had one, of an event without data too; undefined before the first. */
  lastEventId: string | undefined;
  /** How long the server wants to be left alone between two connections, in milliseconds; undefined where it has not said. */
  retry: number | undefined;
  /** Events that were left out because they were too large. */
  oversized = 0;
  private readonly decoder: { write(chunk: Buffer): string };
  private rest = '';
  private name = '';
  private id: string | undefined;
  private data: string[] = [];
  private length = 0;
  /** The event is too large: nothing of it is kept. */
  private isTooLarge = false;
  /** The last line ended in CR: an LF that follows belongs to it. */
  private afterCr = false;
  private isFirst = true;

  /**
   * @param max characters of one event
   * @param charset the standard knows UTF-8 only; servers that say another one mean it
   */
  constructor(
    private readonly max: number,
    charset = 'utf-8',
  ) {
    this.decoder = decoderOf(charset);
  }

  /** The events that are whole now. */
  push(chunk: Buffer): ServerEvent[] {
    const events: ServerEvent[] = [];
    let text = this.decoder.write(chunk);
    if (text === '') return events;
    if (this.isFirst && text.startsWith('\ufeff')) text = text.slice(1);
    this.isFirst = false;
    if (this.afterCr && text.startsWith('\n')) text = text.slice(1);
    this.afterCr = text.endsWith('\r');
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.rest + (lines[0] ?? '');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.line(line);
      if (event !== undefined) events.push(event);
    }
    if (this.rest.length + this.length > this.max + LONGEST_FIELD) {
      if (!this.rest.startsWith(':')) this.dropData();
      // What comes of this line belongs to a comment.
      this.rest = ':';
    }
    return events;
  }

  private line(line: string): ServerEvent | undefined {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.name = value;
    else if (field === 'id') this.id = value.includes('\0') || value.length > MAX_ID ? this.id : value;
    else if (field === 'retry') {
      if (/^\d{1,9}$/.test(value)) this.retry = Number(value);
    } else if (field === 'data' && !this.isTooLarge) {
      this.data.push(value);
      this.length += value.length + 1;
      if (this.length - 1 > this.max) this.dropData();
    }
    return undefined;
  }

  private dropData(): void {
    this.isTooLarge = true;
    this.data = [];
    this.length = 0;
  }

  private dispatch(): ServerEvent | undefined {
    const { name, id, data, isTooLarge } = this;
    this.name = '';
    this.id = undefined;
    this.data = [];
    this.length = 0;
    this.isTooLarge = false;
    if (id !== undefined) this.lastEventId = id;
    if (isTooLarge) this.oversized++;
    return data.length === 0 ? undefined : { name: name || 'message', id, data: data.join('\n') };
  }
}

/** "retry: ", the longest name of a field with what follows it. */
const LONGEST_FIELD = 7;

function decoderOf(charset: string): { write(chunk: Buffer): string } {
  if (/^utf-?8$/i.test(charset)) return new StringDecoder('utf8');
  try {
    const decoder = new TextDecoder(charset);
    return { write: (chunk) => decoder.decode(chunk, { stream: true }) };
  } catch {
    // Nobody knows this name.
    return new StringDecoder('utf8');
  }
}
