/** What a client gets when it joins or comes back: from the history, or from the source itself. */
import { Message } from '../message.ts';
import type { History, ResumePoint } from './history.ts';

/** `replay`: what of the history a new client gets. */
export type ReplayRule = 'none' | 'last' | 'all';

export interface ReplayParts {
  readonly history: History;
  /** What a new client gets of it. */
  readonly rule: ReplayRule;
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
  /** What the source gives a client instead of history, where each message builds on the one before; undefined where none does. */
  snapshot(): Buffer | undefined;
}

/** What a client gets first: messages that are not in the chain, and then the chain from a position on. */
export interface StartPoint extends ResumePoint {
  readonly snapshot: readonly Message[];
  /** The id from which it would resume if it had none of that yet; "" where that would not do. */
  readonly at: string;
}

export class Replay {
  /**
   * The last message before the source said anything; undefined once a client got what came after it. Its number and not its position,
   * which would keep everything that comes: perhaps no client ever listens.
   */
  private startedAt: number | undefined;

  constructor(private readonly parts: ReplayParts) {}

  /** A source was started for a client. What it says before that has come is the client's, whatever `replay` says. */
  sourceStarted(): void {
    this.startedAt = this.parts.history.end.sequence;
  }

  /** A client listens from here on. */
  clientListens(): void {
    this.startedAt = undefined;
  }

  /** What a client gets that names the last message it has; "" or undefined names none. */
  from(id: string | undefined): StartPoint {
    const { history } = this.parts;
    const isNew = id === undefined || id === '';
    const resumed = isNew ? undefined : this.after(id);
    if (resumed !== undefined) return { ...resumed, snapshot: [], at: history.idOf(resumed.earlier ?? resumed.from) };
    const missed = isNew ? 0 : undefined;
    const snapshot = this.snapshot();
    if (snapshot === undefined) {
      const fresh = this.fresh();
      return { ...fresh, missed, snapshot: [], at: history.idOf(fresh.earlier ?? fresh.from) };
    }
    const { end, lastId } = history;
    // It is not in the history: who loses it on the way gets the next one.
    return { from: end, missed, snapshot: [new Message(snapshot, this.parts.binary, lastId, end.sequence)], at: '' };
  }

  /** What came after `id`; undefined when that would not be enough to go on from there. */
  private after(id: string): ResumePoint | undefined {
    const resumed = this.parts.history.after(id);
    // Where each message builds on the one before, a gap means to begin anew.
    const isWhole = resumed?.missed === 0 && resumed.earlier === undefined;
    const broken = resumed !== undefined && !isWhole && this.snapshot() !== undefined;
    return broken ? undefined : resumed;
  }

  private fresh(): Pick<ResumePoint, 'from' | 'earlier'> {
    const { history, rule } = this.parts;
    if (rule === 'all') return history.oldest();
    if (this.startedAt !== undefined) return { from: history.positionAfter(this.startedAt) };
    return { from: rule === 'last' ? history.beforeLast() : history.end };
  }

  private snapshot(): Buffer | undefined {
    return this.parts.snapshot();
  }
}
