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

  constructor(private readonly id: number) {}

  /** To be called right after the leader was reaped, before anything else runs. */
  leaderReaped(): void {
    this.reaped = true;
    this.signal(0);
  }

  /** Sends to everybody in the group; 0 sends nothing and only asks. False when nobody is left in it. */
  signal(signal: NodeJS.Signals | 0): boolean {
    if (this.empty) return false;
    try {
      process.kill(-this.id, signal);
      return true;
    } catch (error) {
      // Somebody is there, but is another user's, such as a set-user-id program.
      if ((error as NodeJS.ErrnoException).code === 'EPERM') return true;
      this.empty = this.reaped;
      return false;
    }
  }
}
