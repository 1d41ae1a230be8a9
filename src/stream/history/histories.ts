/**
 * The histories on the disk that this gateway has open, each once: a stream whose configuration has changed hands its history, with all that is
 * in memory of it, to the stream that takes its place.
 */
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { History } from './history.ts';
import { HistoryFile, type HistoryFileOptions } from './history-file.ts';
import { type Lock, lockBySocket, openLocked } from './locked-file.ts';
import { ReadGate } from './past-reader.ts';

export interface HistoriesParts {
  readonly log: Log;
  readonly tallies: Tallies;
  /** The FFI add-on's exports; without it two gateways on one file are noticed by a socket. */
  readonly addon: unknown;
}

interface OpenHistory {
  readonly file: HistoryFile;
  readonly history: History;
}

interface Entry {
  readonly opened: Promise<OpenHistory>;
  users: number;
}

/** A stream's hold on a history. */
export interface HeldHistory {
  readonly history: History;
  /** The stream is in force: its configuration holds. */
  use(): void;
  /** The stream is over. With the last one the file is written and closed. */
  giveBack(): void;
}

export class Histories {
  private readonly entries = new Map<string, Entry>();
  private readonly closing = new Map<string, Promise<void>>();
  private readonly gate = new ReadGate();
  private lock: Lock | undefined;

  constructor(private readonly parts: HistoriesParts) {}

  /** Opens it, or joins the stream that has it. Rejects with a `RouteError`. */
  async take(options: HistoryFileOptions): Promise<HeldHistory> {
    const { path } = options;
    await this.closing.get(path);
    let entry = this.entries.get(path);
    if (entry === undefined) {
      entry = { opened: this.open(options), users: 0 };
      this.entries.set(path, entry);
    }
    entry.users++;
    try {
      return this.held(entry, await entry.opened, options);
    } catch (error) {
      if (--entry.users === 0) this.entries.delete(path);
      throw error;
    }
  }

  /** Resolves when everything that was given back is written. */
  async settled(): Promise<void> {
    await Promise.all(this.closing.values());
  }

  private held(entry: Entry, { file, history }: OpenHistory, options: HistoryFileOptions): HeldHistory {
    let isHeld = true;
    return {
      history,
      use: () => file.change(options),
      giveBack: () => {
        if (!isHeld) return;
        isHeld = false;
        if (--entry.users > 0) return;
        const { path } = options;
        this.entries.delete(path);
        const closed = file.close().finally(() => this.closing.delete(path));
        this.closing.set(path, closed);
      },
    };
  }

  private async open(options: HistoryFileOptions): Promise<OpenHistory> {
    this.lock ??= fileLock(this.parts.addon, this.parts.log);
    const locked = await openLocked(options.path, this.lock);
    const file = await HistoryFile.open(locked, options, { ...this.parts, gate: this.gate });
    return { file, history: new History(file, options.bounds) };
  }
}

/** The little of the FFI add-on that is used here (`ops/addons/addon.ts` loads it). */
interface ForeignFunctions {
  load(library: string): { func(prototype: string): (descriptor: number, operation: number) => number };
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** flock(2): the kernel lets go of it whatever becomes of the process, and other containers see it. */
function fileLock(addon: unknown, log: Log): Lock {
  try {
    const flock = (addon as ForeignFunctions).load('libc.so.6').func('int flock(int descriptor, int operation)');
    return ({ fd }) => (flock(fd, LOCK_EX | LOCK_NB) === 0 ? () => undefined : undefined);
  } catch {
    log.warn('without the FFI add-on a second gateway on a history file is noticed only in the same container');
    return lockBySocket;
  }
}
