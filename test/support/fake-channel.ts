/** A shared channel with no program and no sockets: the test says what the one prints and when the others read. */
import { Log } from '../../src/ops/log.ts';
import { Tallies } from '../../src/ops/tallies.ts';
import type { Member } from '../../src/stream/channel/member.ts';
import { SharedChannel, type SharedChannelOptions } from '../../src/stream/channel/shared.ts';
import type { Client, Notice } from '../../src/stream/clients/client.ts';
import { StreamCounts } from '../../src/stream/counts.ts';
import type { HistoryBounds } from '../../src/stream/history/chain.ts';
import { History } from '../../src/stream/history/history.ts';
import type { Ending, Message } from '../../src/stream/message.ts';
import { SharedProgram } from '../../src/stream/sources/program/shared.ts';
import { TaggedProgram } from '../../src/stream/sources/program/tagged.ts';
import type { SourceEvents, WritableSource } from '../../src/stream/sources/source.ts';

export interface FakeOptions extends SharedChannelOptions {
  readonly maxQueue: number;
  readonly tagged: boolean;
  readonly history: HistoryBounds;
}

const OPTIONS: FakeOptions = {
  replay: 'none',
  slowClient: 'drop',
  maxBehind: 256 * 1024,
  maxQueue: 256 * 1024,
  drainTimeout: 60_000,
  idleStop: undefined,
  restartWanted: () => true,
  restart: { first: 1, most: 1 },
  tagged: false,
  history: { messages: 1_000_000, bytes: 64 << 20, age: undefined },
  overrun: 'too many messages',
  away: 'the program is being restarted',
  binary: false,
};

/** A client with a buffer like a socket's: behind when it holds more than 64 KiB. */
export class FakeClient implements Client {
  readonly transport = 'websocket';
  readonly got: string[] = [];
  /** How many messages came at a time. */
  readonly batches: number[] = [];
  readonly notices: Notice[] = [];
  /** Most bytes that its buffer has held. */
  most = 0;
  ended: Ending | undefined;
  terminated = false;
  bufferedAmount = 0;
  member: Member | undefined;

  constructor(
    public reads: boolean,
    /** Called inside of each call of the channel. */
    private readonly on: (call: 'deliver' | 'notice' | 'close') => void = () => undefined,
  ) {}

  /** What came, without what fills the messages up. */
  get words(): readonly string[] {
    return this.got.map((text) => text.trimEnd());
  }

  deliver(batch: readonly Message[]): boolean {
    this.batches.push(batch.length);
    for (const { data } of batch) {
      this.got.push(data.toString());
      if (!this.reads) this.bufferedAmount += data.length;
    }
    this.most = Math.max(this.most, this.bufferedAmount);
    this.on('deliver');
    return this.bufferedAmount <= 64 * 1024;
  }

  notice(notice: Notice): void {
    this.notices.push(notice);
    this.on('notice');
  }

  close(ending: Ending): void {
    this.ended = ending;
    this.on('close');
  }

  spoke(): void {}

  ping(): void {}

  terminate(): void {
    this.terminated = true;
  }

  pause(): boolean {
    return false;
  }

  resume(): void {}
}

export class FakeSource implements WritableSource {
  readonly lines: string[] = [];
  waiting = 0;
  reads = true;

  write(message: Buffer): boolean {
    this.lines.push(message.toString());
    if (!this.reads) this.waiting += message.length + 1;
    return true;
  }

  endInput(): void {}
  pause(): void {}
  resume(): void {}
  release(): void {}
}

export interface FakeChannel {
  readonly channel: SharedChannel;
  readonly counts: StreamCounts;
  readonly tallies: Tallies;
  /** The program that runs. */
  source(): FakeSource;
  print(...lines: readonly string[]): void;
  join(client: FakeClient, after?: string): Member;
  /** It takes what it has, until nothing more comes. */
  drain(client: FakeClient): void;
  /** The program has read everything. */
  read(): void;
  /** The program ends, and another one is started. */
  crash(): Promise<void>;
}

const SILENT = new Log({ format: 'plain', level: 'error', colour: false, descriptor: 2 });

export async function fakeChannel(changes: Partial<FakeOptions> = {}): Promise<FakeChannel> {
  const sources: FakeSource[] = [];
  let events: SourceEvents | undefined;
  let started: () => void = () => undefined;
  const options = { ...OPTIONS, ...changes };
  const tallies = new Tallies();
  const counts = new StreamCounts(tallies, '/fake');
  const channel = new SharedChannel(new History('run', options.history), options, {
    number: 0,
    counts,
    log: SILENT,
    start: (given) => {
      const connect = (told: SourceEvents): FakeSource => {
        events = told;
        const source = new FakeSource();
        sources.push(source);
        return source;
      };
      const tell = started;
      setImmediate(() => tell());
      const { tagged, maxQueue } = options;
      return Promise.resolve(
        tagged
          ? new TaggedProgram(connect, { counts, log: SILENT, maxQueue }, given)
          : new SharedProgram(connect(given), maxQueue),
      );
    },
    emptied: () => undefined,
  });
  await channel.ready();
  const source = (): FakeSource => {
    const last = sources.at(-1);
    if (last === undefined) throw new Error('no program');
    return last;
  };
  return {
    channel,
    counts,
    tallies,
    source,
    print: (...lines) => events?.messages(lines.map((line) => Buffer.from(line))),
    join(client, after) {
      client.member = channel.join(client, after, { address: '192.0.2.1', query: 'q'.repeat(990), user: undefined });
      return client.member;
    },
    drain(client) {
      while (client.bufferedAmount > 0 && client.member !== undefined) {
        client.bufferedAmount = 0;
        channel.clientDrain(client.member);
      }
    },
    read() {
      source().waiting = 0;
      events?.drain();
    },
    async crash() {
      const again = new Promise<void>((resolve) => {
        started = resolve;
      });
      channel.ended({ code: 1011, reason: 'exit 1' });
      await again;
    },
  };
}
