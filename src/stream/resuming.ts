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

export class Resuming {
  constructor(private readonly parts: ResumingParts) {}

  /** What a client gets that names the last message it has; "" or undefined names none. */
  from(id: string | undefined): Resumed {
    if (id === undefined || id === '') return { messages: this.fresh(), missed: 0 };
    return this.after(id) ?? { messages: this.fresh(), missed: undefined };
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
    const last = replay === 'last' ? history.last() : undefined;
    return last === undefined ? [] : [last];
  }

  private snapshot(): Buffer | undefined {
    return this.parts.backend()?.snapshot?.();
  }
}
