/**
 * The process group that a started program leads.
 *
 * Its number is the leader's process id. The kernel gives that number to nobody else while anything still bears it: the
 * leader until it is reaped, and after that any process left in the group or session. So a signal to the group is safe
 * until the group has once been seen empty; from then on the number may belong to a stranger, and nothing is sent again.
 * That is why the group is looked at in the very moment in which its leader is reaped.
 */
export class ProcessGroup {
  private reaped = false;
  private empty = false;

  constructor(
    private readonly id: number,
    private readonly send: SendSignal = sendByNode,
  ) {}

  /** Its leader has been reaped. */
  get hasLostLeader(): boolean {
    return this.reaped;
  }

  /**
   * To be called right after the leader was reaped, before anything else runs.
   * @param left what whoever reaped it has found in that moment: whether somebody is left in the group
   */
  leaderReaped(left?: boolean): void {
    this.reaped = true;
    if (left === undefined) this.signal(0);
    else if (!left) this.empty = true;
  }

  /** Sends to everybody in the group; 0 sends nothing and only asks. False when nobody is left in it. */
  signal(signal: NodeJS.Signals | 0): boolean {
    if (this.empty) return false;
    if (this.send(-this.id, signal)) return true;
    this.empty = this.reaped;
    return false;
  }
}

/** kill(2). False when nobody is there; true also for somebody of another user, such as a set-user-id program. */
export type SendSignal = (to: number, signal: NodeJS.Signals | 0) => boolean;

function sendByNode(to: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(to, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
