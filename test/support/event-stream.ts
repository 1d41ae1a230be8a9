/** A client of an event stream for tests: events are waited for, never slept for. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';

export interface StreamEvent {
  /** "message" where the stream names none. */
  readonly name: string;
  readonly data: string;
  readonly id: string | undefined;
}

const DEADLINE = 60_000;

export class EventClient {
  readonly events: StreamEvent[] = [];
  private readonly watchers = new Set<() => void>();
  private text = '';
  private over = false;

  private constructor(
    private readonly outgoing: ClientRequest,
    response: IncomingMessage,
  ) {
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.take(text));
    const ended = (): void => {
      this.over = true;
      this.tell();
    };
    response.on('close', ended);
    response.on('error', ended);
  }

  /** Resolves when the stream has begun; rejects when it is refused. */
  static async open(
    port: number,
    path: string,
    headers: { readonly [name: string]: string } = {},
  ): Promise<EventClient> {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      headers: { accept: 'text/event-stream', ...headers },
    });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    outgoing.on('error', () => undefined);
    if (response.statusCode !== 200) throw new Error(`refused with ${response.statusCode}`);
    return new EventClient(outgoing, response);
  }

  /** The data of the events with this name. */
  all(name = 'message'): readonly string[] {
    return this.events.filter((event) => event.name === name).map(({ data }) => data);
  }

  /** The first `count` of them, as soon as they are there. */
  async first(count: number, name = 'message'): Promise<readonly string[]> {
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        settle();
      };
      const fail = (why: string): void => done(() => reject(new Error(`${why}: ${JSON.stringify(this.events)}`)));
      const timer = setTimeout(() => fail(`no ${count} events "${name}" in time`), DEADLINE);
      const look = (): void => {
        if (this.all(name).length >= count) done(resolve);
        else if (this.over) fail('the stream is over');
      };
      this.watchers.add(look);
      look();
    });
    return this.all(name).slice(0, count);
  }

  close(): void {
    this.outgoing.destroy();
  }

  private take(text: string): void {
    this.text += text;
    for (let end = this.text.indexOf('\n\n'); end >= 0; end = this.text.indexOf('\n\n')) {
      this.event(this.text.slice(0, end));
      this.text = this.text.slice(end + 2);
    }
    this.tell();
  }

  private event(block: string): void {
    const fields = block.split('\n').map((line) => /^(\w+): ?(.*)$/s.exec(line));
    const values = (name: string): string[] => fields.flatMap((field) => (field?.[1] === name ? [field[2] ?? ''] : []));
    const data = values('data');
    if (data.length === 0) return;
    this.events.push({ name: values('event')[0] ?? 'message', data: data.join('\n'), id: values('id')[0] });
  }

  private tell(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}
