/** What a client gets that comes, or comes back: of history, or of the backend itself. */
import type { Backend } from './ends.ts';
import type { History, Resumed } from './history.ts';
import { Message } from './message.ts';

export interface ResumingParts {
  readonly history: History;
  /** What a new client gets of it. */
  readonly replay: 'none' | 'last' | 'all';
  /** Whether messages are binary to clients. */
  readonly binary: boolean;
  /** The one that runs. */
  backend(): Backend | undefined;
}

/** What a client gets, and the id from which it would resume if it had none of that yet; "" where that would not do. */
export interface Beginning extends Resumed {
  readonly at: string;
}

export class Resuming {
  /** The last id before the backend said anything; undefined once somebody has had what came after it. */
  private begunAfter: string | undefined;

  constructor(private readonly parts: ResumingParts) {}

  /** A backend was started for a client. What it says before that has come is the client's, whatever `replay` says. */
  begun(): void {
    this.begunAfter = this.parts.history.lastId;
  }

  /** Somebody listens from here on. */
  heard(): void {
    this.begunAfter = undefined;
  }

  /** What a client gets that names the last message it has; "" or undefined names none. */
  from(id: string | undefined): Beginning {
    const { history } = this.parts;
    const resumed = id === undefined || id === '' ? undefined : this.after(id);
    if (resumed !== undefined) return { ...resumed, at: history.before(resumed.messages) };
    const messages = this.fresh();
    // A snapshot is not in the history: who loses it on the way gets the next one.
    const at = this.snapshot() === undefined ? history.before(messages) : '';
    return { messages, missed: id === undefined || id === '' ? 0 : undefined, at };
  }

  /** What came after `id`; undefined when that would not be enough to go on from there. */
  private after(id: string): Resumed | undefined {
    const resumed = this.parts.history.after(id);
    // Where each message builds on the one before, a gap means to begin anew.
    const broken = resumed !== undefined && resumed.missed !== 0 && this.snapshot() !== undefined;
    return broken ? undefined : resumed;
  }

  private fresh(): readonly Message[] {
    const { history, replay, binary } = this.parts;
    const snapshot = this.snapshot();
    if (snapshot !== undefined) return [new Message(snapshot, binary, history.lastId, history.lastSequence)];
    if (replay === 'all') return history.all();
    if (this.begunAfter !== undefined) return history.after(this.begunAfter)?.messages ?? [];
    const last = replay === 'last' ? history.last() : undefined;
    return last === undefined ? [] : [last];
  }

  private snapshot(): Buffer | undefined {
    return this.parts.backend()?.snapshot?.();
  }
}
