/**
 * Keeps slow but living peers from being cut. uWebSockets.js drops a connection whose body or stalled reply does not move
 * fast enough for its fixed timer of about ten seconds; the timer is set anew from here for as long as we want to wait.
 */

import { type Waiting, WaitingList } from '../../ownership/waiting-list.ts';

/** Well under the shortest time that the timer takes to strike (8 s). Milliseconds. */
const TICK = 4000;

export interface WaitingPeer extends Waiting<WaitingPeer> {
  /** Called every four seconds. */
  tick(milliseconds: number): void;
}

/** The exchanges of one listener that wait for their peer. The interval ends at a tick that finds none: most wait for a moment. */
export class Liveness {
  private readonly waiting = new WaitingList<WaitingPeer>();
  private timer: NodeJS.Timeout | undefined;

  add(one: WaitingPeer): void {
    this.waiting.add(one);
    this.timer ??= setInterval(() => {
      if (this.waiting.isEmpty) {
        clearInterval(this.timer);
        this.timer = undefined;
      }
      this.waiting.each((one) => one.tick(TICK));
    }, TICK);
    this.timer.unref();
  }

  delete(one: WaitingPeer): void {
    this.waiting.delete(one);
  }
}
