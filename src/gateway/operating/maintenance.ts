/** Listeners that the operator has taken down: `/readyz` says no, so that nobody sends clients any more, and all who come are served. */
import type { ReadyState } from '../../handlers/own/admin.ts';

export class Maintenance {
  /** By the names of listeners. Over a reload they stay what they are; a restart forgets them. */
  private readonly down = new Set<string>();

  set(listener: string, down: boolean): void {
    if (down) this.down.add(listener);
    else this.down.delete(listener);
  }

  /** Those that a reload has closed are forgotten: nobody could take them up again. */
  keep(listeners: Iterable<string>): void {
    const open = new Set(listeners);
    for (const listener of this.down) if (!open.has(listener)) this.down.delete(listener);
  }

  isDown(listener: string): boolean {
    return this.down.has(listener);
  }

  /** A line for each that is down. */
  states(): readonly ReadyState[] {
    return [...this.down].map((listener) => ({ text: `listener ${listener}: down for maintenance`, ready: false }));
  }
}
