/** Reads an event stream (HTML standard, section 9.2.6): at any split, bounded by the largest message. */
import { StringDecoder } from 'node:string_decoder';
import { ConnectionError } from '../errors.ts';

export interface ServerEvent {
  readonly name: string;
  /** Undefined where the event has none of its own. */
  readonly id: string | undefined;
  readonly data: string;
}

export class EventStreamReader {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';
  private name = '';
  private id: string | undefined;
  private data: string[] = [];
  private length = 0;
  /** The last line ended in CR: an LF that follows belongs to it. */
  private afterCr = false;
  private isFirst = true;

  /** @param max characters of one event */
  constructor(private readonly max: number) {}

  /** The events that are whole now. Throws a `ConnectionError`. */
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
    if (this.rest.length + this.length > this.max)
      throw new ConnectionError('protocol', `an event is larger than ${this.max} characters`);
    return events;
  }

  private line(line: string): ServerEvent | undefined {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.name = value;
    else if (field === 'id') this.id = value.includes('\0') ? this.id : value;
    else if (field === 'data') {
      this.data.push(value);
      this.length += value.length + 1;
    }
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const { name, id, data } = this;
    this.name = '';
    this.id = undefined;
    this.data = [];
    this.length = 0;
    return data.length === 0 ? undefined : { name: name || 'message', id, data: data.join('\n') };
  }
}
