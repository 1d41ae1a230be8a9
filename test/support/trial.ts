/** An engine at work on a free port for one test. What it tells is recorded. */
import assert from 'node:assert/strict';
import { chooseEngine } from '../../src/engine/choose.ts';
import type {
  BodySink,
  BodySource,
  Engine,
  EngineEvents,
  EngineName,
  EngineWish,
  Exchange,
  HeaderList,
  Listening,
  ListenOptions,
  Reply,
  Request,
} from '../../src/engine/engine.ts';
import { openAssets } from '../../src/ops/assets.ts';
import { markSecure, testStore } from './secure.ts';

/** What the contract is held against: each engine, plain and with TLS, all through the door. */
export type Row = EngineName | 'tls' | 'uws-tls';
export const CONTRACT: readonly Row[] = ['uws', 'node', 'tls', 'uws-tls'];
/** The door chooses for each connection. */
export type Choosing = 'auto' | 'auto-tls';
/** Where TLS makes no difference, or its own buffers would be what is measured. */
export const ENGINES: readonly EngineName[] = ['uws', 'node'];
export const MAX_HEADER_BYTES = 16 * 1024;

export function isSecure(row: Row | Choosing): boolean {
  return row === 'tls' || row === 'uws-tls' || row === 'auto-tls';
}

/** The engine of a row. */
export function engineName(row: Row): EngineName;
export function engineName(row: Row | Choosing): EngineWish;
export function engineName(row: Row | Choosing): EngineWish {
  if (row === 'uws-tls') return 'uws';
  if (row === 'auto-tls') return 'auto';
  return row === 'tls' ? 'node' : row;
}

export async function engineOf(name: EngineWish): Promise<Engine> {
  return (await chooseEngine(name, openAssets(), MAX_HEADER_BYTES)).engine;
}

export class RecordingEvents implements EngineEvents {
  readonly requests: Request[] = [];
  readonly refusals: string[] = [];
  readonly failures: string[] = [];

  constructor(private readonly answer: (exchange: Exchange) => void) {}

  /** Connections that are open, as the engine tells. */
  connections = 0;
  /** How many there may be. */
  room = Number.POSITIVE_INFINITY;

  /** How many refusals may be answered as such. */
  patience = Number.POSITIVE_INFINITY;

  /** An address that is one too many. */
  unwelcome: string | undefined;
  /** Those that were let in, and those whose end was told. */
  readonly addresses: string[] = [];
  readonly gone: (string | undefined)[] = [];

  opened(address: string): boolean {
    if (this.connections >= this.room || address === this.unwelcome) return false;
    this.connections++;
    this.addresses.push(address);
    return true;
  }
  closed(address: string | undefined): void {
    this.connections--;
    this.gone.push(address);
  }
  exchange(exchange: Exchange): void {
    this.requests.push(exchange.request);
    this.answer(exchange);
  }
  refused(reason: string): boolean {
    this.refusals.push(reason);
    return this.refusals.length <= this.patience;
  }
  readonly limits: string[] = [];
  limited(sentence: string): void {
    this.limits.push(sentence);
  }
  failed(error: unknown): void {
    this.failures.push(error instanceof Error ? error.message : String(error));
  }
}

export class Trial {
  private constructor(
    readonly events: RecordingEvents,
    readonly listening: Listening,
  ) {}

  static async start(
    row: Row | Choosing,
    answer: (exchange: Exchange) => void,
    changes: Partial<ListenOptions> = {},
  ): Promise<Trial> {
    const engine = await engineOf(engineName(row));
    const events = new RecordingEvents(answer);
    const tls = isSecure(row) ? await testStore() : undefined;
    const options = listenOptions({ tls, ...changes });
    const trial = new Trial(events, await engine.listen(options, events));
    const where = options.address.kind === 'unix' ? options.address.path : trial.listening.port;
    if (where !== undefined) markSecure(where, tls !== undefined);
    return trial;
  }

  get port(): number {
    const { port } = this.listening;
    assert(port !== undefined);
    return port;
  }

  /** Ends it; `failures` are those that it must have told of, none by default. */
  async close(failures: readonly RegExp[] = []): Promise<void> {
    this.listening.close();
    await this.listening.finished;
    assert.equal(this.events.failures.length, failures.length, `failures: ${this.events.failures.join(' | ')}`);
    for (const [at, pattern] of failures.entries()) assert.match(this.events.failures[at] ?? '', pattern);
  }
}

export function listenOptions(changes: Partial<ListenOptions> = {}): ListenOptions {
  return {
    name: 'test',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    maxHeaderBytes: MAX_HEADER_BYTES,
    headerTimeout: 10_000,
    keepAliveTimeout: 10_000,
    maxMessage: 1 << 20,
    ...changes,
  };
}

/** A reply in text. */
export function text(body: string, status = 200, headers: HeaderList = []): Reply {
  return { status, headers: [['content-type', 'text/plain'], ...headers], body };
}

/** A source of `total` bytes: one chunk of 64 KiB over and over. */
export class PatternSource implements BodySource {
  written = 0;
  cancelled = 0;
  resumed = 0;
  private sink: BodySink | undefined;

  constructor(
    readonly total: number,
    readonly length: number | undefined,
    /** What to do when everything but this many bytes has been written. */
    private readonly trouble?: { readonly at: number; readonly act: (sink: BodySink) => void },
  ) {}

  start(sink: BodySink): void {
    this.sink = sink;
    this.pump();
  }
  resume(): void {
    this.resumed++;
    this.pump();
  }
  cancel(): void {
    this.cancelled++;
  }

  private pump(): void {
    const { sink } = this;
    if (sink === undefined || this.cancelled > 0) return;
    while (this.written < this.total) {
      if (this.trouble !== undefined && this.written >= this.trouble.at) {
        this.trouble.act(sink);
        return;
      }
      const chunk = PATTERN.subarray(0, this.total - this.written);
      this.written += chunk.length;
      if (!sink.write(chunk)) {
        if (this.written < this.total) return;
        break;
      }
    }
    sink.end();
  }
}

/** No two of its stretches are alike, so that a wrong order shows. */
export const PATTERN = Buffer.from(Array.from({ length: 64 * 1024 }, (_, at) => ((at * 2654435761) >>> 13) & 0xff));
