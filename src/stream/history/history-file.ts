/** A history on the disk, beside its chain in memory: what is written, what is read back, and what is trimmed. */
import { RouteError } from '../../http/errors.ts';
import type { Log } from '../../ops/log.ts';
import type { Series } from '../../ops/metrics/tally.ts';
import { reasonInWords, systemCode } from '../../ops/system-errors.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { Chain, type ChainReader, type HistoryBounds } from './chain.ts';
import { Epochs, newEpoch } from './epochs.ts';
import { type FoundHistory, findHistory } from './find.ts';
import { inWords, type LockedFile } from './locked-file.ts';
import { PastReader, type ReadGate } from './past-reader.ts';
import { KIND, messageOf, RECORD_BYTES, type StoredRecord } from './records.ts';
import { Segments } from './segments.ts';
import { type HistorySync, type RetryTimes, Writer, type WriterParts } from './writer.ts';

/** What a configuration says of a history on the disk. */
export interface HistoryFileOptions {
  /** Absolute. */
  readonly path: string;
  readonly bounds: HistoryBounds;
  readonly sync: HistorySync;
  /** Whether all messages are binary, whatever the file says. */
  readonly binary: boolean;
  /** Of the stream. */
  readonly route: string;
}

export interface HistoryFileParts {
  readonly log: Log;
  readonly tallies: Tallies;
  readonly gate: ReadGate;
  /** Milliseconds until a disk that did not take something is tried again. */
  readonly retry?: RetryTimes;
}

/** Bytes of the newest messages that are in memory, too: whoever comes back after a short while needs no disk. */
const IN_MEMORY = 256 * 1024;
/** 2025: a clock before that has not been set yet. */
const CLOCK_IS_SET = Date.UTC(2025, 0);
/** With more the last one is gone on with after a crash, whatever its size. */
const MOST_SEGMENTS = 64;
/** Milliseconds that the last write may take when the gateway stops. */
const CLOSE_PATIENCE = 5000;

/** NaN while nobody knows. */
function clock(): number {
  const now = Date.now();
  return now < CLOCK_IS_SET ? Number.NaN : now;
}

export class HistoryFile implements WriterParts, ChainReader {
  readonly chain: Chain;
  readonly epochs = new Epochs([]);
  readonly segments: Segments;
  private readonly writer: Writer;
  private counts: HistoryCounts;
  private skippedNumbers = 0;
  private closing: Promise<void> | undefined;
  private damageTold = false;
  private failureTold = false;

  private constructor(
    private readonly file: LockedFile,
    private options: HistoryFileOptions,
    private readonly parts: HistoryFileParts,
  ) {
    this.segments = new Segments(file.path);
    this.counts = new HistoryCounts(parts.tallies, options.route);
    this.chain = new Chain(this.epochs, inMemory(options.bounds), clock, 0, this);
    this.writer = new Writer(this, parts.retry);
  }

  /** Reads where it goes on. Rejects with a `RouteError`; then the file is given back. */
  static async open(file: LockedFile, options: HistoryFileOptions, parts: HistoryFileParts): Promise<HistoryFile> {
    const history = new HistoryFile(file, options, parts);
    try {
      await history.load();
      return history;
    } catch (error) {
      await file.close().catch(() => undefined);
      throw new RouteError(`the history ${options.path} ${inWords(error)}`);
    }
  }

  /** The number of the last message that is written: what comes behind it is needed in memory. */
  get sequence(): number {
    return this.writer.sequence;
  }

  /** A message was added to the chain. */
  added(): void {
    this.writer.added();
  }

  kept(): Promise<boolean> | undefined {
    return this.writer.kept();
  }

  /** @param fresh it begins with the oldest there is, and has missed nothing before that */
  reader(sequence: number, fresh: boolean): PastReader {
    return new PastReader(
      {
        segments: this.segments,
        names: this.epochs,
        gate: this.parts.gate,
        bounds: () => this.shown(),
        binary: () => this.options.binary,
        damaged: (bytes, path) => this.damaged(bytes, path),
        failed: (error, path) => this.failedRead(error, path),
      },
      sequence,
      fresh,
    );
  }

  /** How many messages are on the disk, and the bytes of their files. */
  size(): { readonly kept: number; readonly keptBytes: number } {
    const kept = Math.min(this.options.bounds.messages, this.total - this.ordinalBefore(0));
    return { kept, keptBytes: this.segments.bytes };
  }

  /** The number before the oldest message that may be in the files. */
  oldest(): number {
    return this.lastOnes(this.options.bounds.messages);
  }

  /** The number behind which the last `count` messages come, or all where there are fewer. */
  lastOnes(count: number): number {
    const ordinal = Math.max(0, this.total - count);
    // Of the last segment that begins before there.
    const { list } = this.segments;
    const segment = list.findLast(({ first, skipped }) => first - 1 - skipped <= ordinal) ?? list[0];
    if (segment === undefined) return this.chain.beginning().sequence;
    return Math.max(segment.first - 1, ordinal + segment.skipped);
  }

  /** Another configuration of the same history. */
  change(options: HistoryFileOptions): void {
    if (options.route !== this.options.route) {
      this.counts.remove();
      this.counts = new HistoryCounts(this.parts.tallies, options.route);
    }
    this.options = options;
    this.chain.setBounds(inMemory(options.bounds));
    this.count();
    void this.trim().catch(() => undefined);
  }

  /** Writes what waits, and gives the file back. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  // ---- for the writer ----

  bytes(): number {
    return this.options.bounds.bytes;
  }

  sync(): HistorySync {
    return this.options.sync;
  }

  epochOf(sequence: number): string {
    return this.epochs.of(sequence);
  }

  skipped(): number {
    return this.skippedNumbers;
  }

  now(): number {
    return clock();
  }

  wrote(): void {
    this.counts.writes.value++;
    this.count();
  }

  synced(): void {
    this.counts.syncs.value++;
  }

  /** Removes what is beyond the bounds: never the segment that is written to. */
  async trim(): Promise<void> {
    const { list } = this.segments;
    const { bytes, messages } = this.options.bounds;
    for (let second = list[1]; second !== undefined; second = list[1]) {
      const total = this.segments.bytes - RECORD_BYTES * (this.total - this.ordinalBefore(0));
      const isNeeded = this.total - this.ordinalBefore(1) < messages && total <= bytes;
      // All of the first is older than the second is.
      if (isNeeded && !this.isTooOld(second.time)) break;
      await this.segments.removeFirst();
    }
    this.count();
  }

  lost(error: unknown): void {
    const { log, tallies } = this.parts;
    const { path, route } = this.options;
    this.epochs.begin({ epoch: newEpoch(), after: this.chain.end.sequence });
    tallies.history.errors.add(1, route, reasonOf(error));
    this.counts.keeping.value = 0;
    log.error(`the history ${path} ${inWords(error)}; the stream continues, but no further message is saved`, {
      route,
    });
  }

  found(): void {
    const { path, route } = this.options;
    this.counts.keeping.value = 1;
    this.parts.log.info(`the history ${path} can be written again; messages are saved from now on`, { route });
  }

  // ---- inside ----

  private async load(): Promise<void> {
    const { segments, chain, epochs } = this;
    const { log } = this.parts;
    const { route, path } = this.options;
    const found = await findHistory(segments, (record) => this.recall(record));
    for (const repair of found.repairs) {
      log.warn(`the history ${path}: ${repair}`, { route });
      this.parts.tallies.history.errors.add(1, route, 'damaged');
    }
    for (const start of found.epochs) epochs.begin(start);
    if (found.epochs.length === 0) epochs.begin({ epoch: newEpoch(), after: 0 });
    this.skippedNumbers = found.skipped;
    chain.skipTo(found.sequence);
    this.writer.start(found.handle);
    this.counts.keeping.value = 1;
    try {
      if (found.handle !== undefined) await this.goOn(found);
      await this.trim();
    } catch (error) {
      this.writer.lose(error);
    }
    this.count();
  }

  /** From here on the files say that numbers may have been used that are not in them. */
  private async goOn({ closed, empty, sequence }: FoundHistory): Promise<void> {
    if (closed || this.segments.list.length >= MOST_SEGMENTS) {
      await this.writer.mark(KIND.opened, sequence);
      return;
    }
    // Numbers that no message has lie between two segments where they can: there they need not be looked for.
    await this.writer.begin(sequence + 1);
    if (empty) await this.segments.removeBeforeLast();
  }

  private recall(record: StoredRecord): void {
    const { chain } = this;
    if (chain.end.count === 0) chain.skipTo(record.sequence - 1);
    chain.add(messageOf(record, '', this.options.binary), record.time);
  }

  private async finish(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.parts.log.error(
          `the history ${this.options.path} could not be written in time: its last messages may be lost`,
        );
        resolve();
      }, CLOSE_PATIENCE);
    });
    await Promise.race([this.writer.close(), late]);
    clearTimeout(timer);
    this.counts.remove();
    await this.file.close().catch(() => undefined);
  }

  /** Messages that there have been. */
  private get total(): number {
    return this.chain.end.sequence - this.skippedNumbers;
  }

  /** Messages before a segment. */
  private ordinalBefore(at: number): number {
    const segment = this.segments.list[at];
    return segment === undefined ? this.total : segment.first - 1 - segment.skipped;
  }

  private shown(): { readonly count: number; isTooOld(time: number): boolean } {
    return { count: this.total - this.options.bounds.messages, isTooOld: (time) => this.isTooOld(time) };
  }

  /** A time that nobody knew, and one of a clock that was ahead, is never too old. */
  private isTooOld(time: number): boolean {
    const { age } = this.options.bounds;
    return age !== undefined && clock() - time > age;
  }

  private damaged(bytes: number, path: string): void {
    const { log, tallies } = this.parts;
    const { route } = this.options;
    tallies.history.errors.add(1, route, 'damaged');
    if (this.damageTold) return;
    this.damageTold = true;
    log.warn(`${bytes} bytes of ${path} are damaged: the messages there are lost`, { route });
  }

  private failedRead(error: unknown, path: string): void {
    const { log, tallies } = this.parts;
    const { route } = this.options;
    tallies.history.errors.add(1, route, 'failed');
    // Once, and not for each viewer that comes back.
    if (this.failureTold) return;
    this.failureTold = true;
    log.error(`${path} ${reasonInWords(systemCode(error) ?? String(error))}: viewers miss the messages in it`, {
      route,
    });
  }

  private count(): void {
    const { kept, keptBytes } = this.size();
    this.counts.bytes.value = keptBytes;
    this.counts.messages.value = kept;
  }
}

function reasonOf(error: unknown): 'full' | 'slow' | 'failed' {
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return 'full';
  return code === undefined ? 'slow' : 'failed';
}

/** What of it is in memory. */
function inMemory(bounds: HistoryBounds): HistoryBounds {
  return { ...bounds, bytes: Math.min(bounds.bytes, IN_MEMORY) };
}

/** The numbers of one history, kept at hand. */
class HistoryCounts {
  readonly bytes: Series;
  readonly messages: Series;
  readonly keeping: Series;
  readonly writes: Series;
  readonly syncs: Series;

  constructor(
    private readonly tallies: Tallies,
    private readonly route: string,
  ) {
    this.bytes = tallies.history.bytes.series(route);
    this.messages = tallies.history.messages.series(route);
    this.keeping = tallies.history.keeping.series(route);
    this.writes = tallies.history.writes.series(route);
    this.syncs = tallies.history.syncs.series(route);
  }

  /** What is there no more. */
  remove(): void {
    const { tallies, route } = this;
    for (const gauge of [tallies.history.bytes, tallies.history.messages, tallies.history.keeping]) gauge.remove(route);
  }
}
