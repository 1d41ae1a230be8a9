/** One client for the three ways in which a shared stream comes, so that one suite can ask the same of all. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import WebSocket from 'ws';

export type Way = 'websocket' | 'events' | 'poll';
export const WAYS: readonly Way[] = ['websocket', 'events', 'poll'];

export interface StreamEvent {
  /** "message", or the kind of what is told beside. */
  readonly kind: string;
  readonly id: string;
  readonly data: string;
}

/** Splits an event stream (HTML standard, section 9.2.6). Gives what is left over. */
export function parseEvents(text: string, take: (event: StreamEvent) => void): string {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  for (const block of blocks) {
    let kind = 'message';
    let id = '';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (name === 'event') kind = value;
      else if (name === 'id') id = value;
      else if (name === 'data') data.push(value);
    }
    if (data.length > 0) take({ kind, id, data: data.join('\n') });
  }
  return rest;
}

export interface StreamAddress {
  readonly port: number;
  /** Without a query. */
  readonly path: string;
}

/** Follows a stream from `after` on, and hands on what it gets, until `stop` or its end. */
export class StreamClient {
  readonly events: StreamEvent[] = [];
  /** It is over: the close code, or 0 where there is none. */
  ended: { readonly code: number; readonly reason: string } | undefined;
  private stopped = false;
  /** Counts the lines: what comes late from one that was cut is nobody's. */
  private line = 0;
  private stopLine: () => void = () => {};
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly way: Way,
    private readonly to: StreamAddress,
    /** Where it is: it resumes from here when it is started again. */
    public after = '',
  ) {}

  get messages(): readonly StreamEvent[] {
    return this.events.filter(({ kind }) => kind === 'message');
  }

  /** Resolves when `isSo` holds. Rejects when the stream is over before. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => look(new Error(`it did not come: ${what}`)), 60_000);
      const look = (error?: Error): void => {
        if (!isSo() && error === undefined && this.ended === undefined) return;
        clearTimeout(deadline);
        this.watchers.delete(look);
        if (isSo()) resolve();
        else reject(error ?? new Error(`${this.way} ended with ${JSON.stringify(this.ended)} before ${what}`));
      };
      this.watchers.add(look);
      look();
    });
  }

  start(): this {
    this.stopped = false;
    this.line++;
    this.ended = undefined;
    if (this.way === 'websocket') this.webSocket();
    else if (this.way === 'events') this.eventStream();
    else this.poll();
    return this;
  }

  /** Cuts the line. */
  stop(): void {
    this.stopped = true;
    this.stopLine();
  }

  private take(event: StreamEvent): void {
    if (this.stopped) return;
    if (event.kind === 'message' && event.id !== '') this.after = event.id;
    if (event.kind === 'joined') {
      const { id } = JSON.parse(event.data) as { id?: string };
      this.after = id ?? this.after;
    }
    this.events.push(event);
    if (event.kind === 'end') this.end(JSON.parse(event.data) as { code: number; reason: string });
    for (const watcher of [...this.watchers]) watcher();
  }

  private end(ending: { readonly code: number; readonly reason: string }, line = this.line): void {
    if (this.stopped || line !== this.line) return;
    this.ended ??= ending;
    for (const watcher of [...this.watchers]) watcher();
  }

  private webSocket(): void {
    const { port, path } = this.to;
    const { line } = this;
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}?after=${this.after}`, { perMessageDeflate: false });
    this.stopLine = () => ws.terminate();
    ws.on('error', () => undefined);
    ws.on('close', (code, reason) => this.end({ code, reason: reason.toString() }, line));
    ws.on('message', (bytes: Buffer, isBinary: boolean) => {
      if (isBinary) {
        const length = bytes[0] ?? 0;
        const data = bytes.subarray(length + 1).toString('base64');
        this.take({ kind: 'message', id: bytes.toString('latin1', 1, length + 1), data });
        return;
      }
      const text = bytes.toString();
      const [, word = '', value = '', data = ''] = /^(id|event):([^\n]*)\n(.*)$/s.exec(text) ?? [];
      this.take({ kind: word === 'id' ? 'message' : value, id: word === 'id' ? value : '', data });
    });
  }

  private eventStream(): void {
    const { line } = this;
    const outgoing = this.get('', {
      accept: 'text/event-stream',
      ...(this.after === '' ? {} : { 'last-event-id': this.after }),
    });
    outgoing.on('response', (response) => {
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        rest = parseEvents(rest + text, (event) => this.take(event));
      });
      response.on('close', () => this.end({ code: 0, reason: `status ${response.statusCode}` }, line));
    });
  }

  private poll(): void {
    const { line } = this;
    const outgoing = this.get(`?transport=poll&cursor=${this.after}`, {});
    outgoing.on('response', (response: IncomingMessage) => {
      void this.news(response, line).catch((error: unknown) => this.end({ code: 0, reason: String(error) }, line));
    });
  }

  private async news(response: IncomingMessage, line: number): Promise<void> {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    if (this.stopped || line !== this.line) return;
    const news = JSON.parse(text) as {
      cursor: string;
      messages: readonly { id: string; data: string }[];
      missed?: number | null;
      end?: { code: number; reason: string };
    };
    if (news.missed !== undefined) this.take({ kind: 'missed', id: '', data: String(news.missed ?? '') });
    for (const { id, data } of news.messages) this.take({ kind: 'message', id, data });
    if (this.stopped) return;
    this.after = news.cursor;
    if (news.end === undefined) this.poll();
    else this.take({ kind: 'end', id: '', data: JSON.stringify(news.end) });
  }

  private get(query: string, headers: { readonly [name: string]: string }): ClientRequest {
    const { line } = this;
    const { port, path } = this.to;
    const outgoing = request({ host: '127.0.0.1', port, path: `${path}${query}`, headers, agent: false });
    this.stopLine = () => outgoing.destroy();
    outgoing.on('error', (error) => this.end({ code: 0, reason: error.message }, line));
    outgoing.end();
    return outgoing;
  }
}

/** A POST to a stream. */
export async function post(
  to: StreamAddress,
  query: string,
  body: string | Buffer,
): Promise<{ status: number; body: string }> {
  const outgoing = request({
    host: '127.0.0.1',
    port: to.port,
    path: `${to.path}${query}`,
    method: 'POST',
    agent: false,
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, body: text };
}
