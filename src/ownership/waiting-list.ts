/**
 * Those who wait for something, linked through themselves. Most wait for a moment only, and there is one for each request with a body: a Set
 * would give each of them a hash, which costs more than all the rest of its waiting.
 */

export interface Waiting<T> {
  /** Its neighbours in the list; the list's alone to touch. */
  before: T | undefined;
  after: T | undefined;
  waits: boolean;
}

export class WaitingList<T extends Waiting<T>> {
  private first: T | undefined;

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  /** Does nothing for one that is in it. */
  add(one: T): void {
    if (one.waits) return;
    one.waits = true;
    one.after = this.first;
    if (this.first !== undefined) this.first.before = one;
    this.first = one;
  }

  /** Does nothing for one that is not in it. */
  delete(one: T): void {
    if (!one.waits) return;
    one.waits = false;
    if (one.before === undefined) this.first = one.after;
    else one.before.after = one.after;
    if (one.after !== undefined) one.after.before = one.before;
    one.before = undefined;
    one.after = undefined;
  }

  /** Each that is in it, unless a visit before it has taken it out. */
  each(visit: (one: T) => void): void {
    const all: T[] = [];
    for (let one = this.first; one !== undefined; one = one.after) all.push(one);
    for (const one of all) if (one.waits) visit(one);
  }
}
