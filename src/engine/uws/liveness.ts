/**
 * Keeps slow but living peers from being cut. uWebSockets.js drops a connection whose body or stalled reply does not move
 * fast enough for its fixed timer of about ten seconds; the timer is set anew from here for as long as we want to wait.
 */

/** Well under the shortest time that the timer takes to strike (8 s). Milliseconds. */
const TICK = 4000;

export interface WaitingPeer {
  /** Called every four seconds. */
  tick(milliseconds: number): void;
}

/** The exchanges of one listener that wait for their peer. The interval runs only while there is one. */
export class Liveness {
  private readonly waiting = new Set<WaitingPeer>();
  private timer: NodeJS.Timeout | undefined;

  add(one: WaitingPeer): void {
    this.waiting.add(one);
    this.timer ??= setInterval(() => {
      for (const each of this.waiting) each.tick(TICK);
    }, TICK);
  }

  delete(one: WaitingPeer): void {
    if (!this.waiting.delete(one) || this.waiting.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
