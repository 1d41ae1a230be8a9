/**
 * The watchdog: when the gateway is killed with KILL it cannot end its programs any more, and one that neither reads nor writes
 * would never notice. So one small shell is told of every program on its stdin, and ends what is left when that stdin ends.
 */
import { DEFAULT_PATH } from '../config/disk.ts';
import type { Child, Spawner } from './spawn.ts';

/**
 * "+ 123" adds a process group, "- 123" takes it out. `kill -s TERM -- -123` is what dash and bash understand,
 * `kill -TERM -123` what busybox does.
 */
export const WATCHDOG_SCRIPT = `
trap "" INT TERM HUP QUIT PIPE USR1 USR2
L=" "
while read -r o p; do
  case $o in
    +) L="$L$p " ;;
    -) case $L in *" $p "*) L="\${L%% $p *} \${L#* $p }" ;; esac ;;
  esac
done
end() { for p in $L; do kill -s $1 -- "-$p" || kill -$1 "-$p"; done; }
case $L in *[0-9]*) end TERM; sleep 1; end KILL ;; esac
`;

/** What may wait to be read by the shell. It reads at once; one that does not is hung or stopped. */
const MAX_BACKLOG = 64 << 10;
/**
 * How long the end of a program may go untold, in milliseconds, so that one write and one waking of the shell do for many short ones.
 * Too short for its number to come round and be another's.
 */
const TELL_ENDS_AFTER = 10;
/** At least this long, in milliseconds, between two starts of it. */
const RESTART_AFTER = 1000;
/** How long the shell may take to end by itself, milliseconds. */
const CLOSE_WITHIN = 3000;

export class Watchdog {
  private readonly groups = new Set<number>();
  private shell: Child | undefined;
  private starting: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** What is to be told of programs that have ended. */
  private ends = '';
  private endsTimer: NodeJS.Timeout | undefined;
  private closed = false;

  /** @param lost Is told in a sentence whenever programs are without their watchdog. It comes back by itself. */
  constructor(
    private readonly spawner: Spawner,
    private readonly lost: (reason: string) => void,
  ) {}

  /** Starts the shell if there is none. To be awaited before the first program is started. Never rejects. */
  ready(): Promise<void> | undefined {
    if (this.shell !== undefined || this.timer !== undefined || this.closed) return undefined;
    this.starting ??= this.start().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  add(group: number): void {
    this.groups.add(group);
    this.tellWithEnds(`+ ${group}\n`);
  }

  remove(group: number): void {
    this.groups.delete(group);
    this.ends += `- ${group}\n`;
    this.endsTimer ??= setTimeout(() => {
      this.endsTimer = undefined;
      this.tellWithEnds('');
    }, TELL_ENDS_AFTER);
  }

  /** The shell's process id, for tests and the status page. */
  get pid(): number | undefined {
    return this.shell?.pid;
  }

  /** Ends the shell and waits until it has been reaped. It kills what is still in its list. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.starting;
    const shell = this.shell;
    if (shell === undefined) return;
    clearTimeout(this.endsTimer);
    this.tellWithEnds('');
    shell.stdin?.end();
    const timer = setTimeout(() => shell.signalGroup('SIGKILL'), CLOSE_WITHIN);
    await shell.exited;
    clearTimeout(timer);
  }

  private async start(): Promise<void> {
    try {
      const shell = await this.spawner.spawn({
        file: '/bin/sh',
        argv: ['runnel-watchdog', '-c', WATCHDOG_SCRIPT],
        env: new Map([['PATH', DEFAULT_PATH]]),
        directory: '/',
        stdin: 'pipe',
        stderr: 'null',
      });
      shell.stdout.destroy();
      this.shell = shell;
      void shell.exited.then(() => this.gone(shell));
    } catch (error) {
      this.failed(`the watchdog cannot be started: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.tell([...this.groups].map((group) => `+ ${group}\n`).join(''));
  }

  private gone(shell: Child): void {
    shell.stdin?.destroy();
    this.shell = undefined;
    if (!this.closed) this.failed('the watchdog has died');
  }

  private failed(reason: string): void {
    this.lost(`${reason}; until it is back, programs would outlive a gateway that is killed`);
    if (this.closed) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.groups.size > 0) void this.ready();
    }, RESTART_AFTER);
    this.timer.unref();
  }

  private tellWithEnds(text: string): void {
    const all = this.ends + text;
    this.ends = '';
    this.tell(all);
  }

  private tell(text: string): void {
    const stdin = this.shell?.stdin;
    if (stdin === undefined || text === '') return;
    if (stdin.writableLength > MAX_BACKLOG) {
      // `gone` follows, and the next one is told everything.
      this.shell?.signalGroup('SIGKILL');
      return;
    }
    // A write that fails means that the shell has died, which `gone` hears of.
    stdin.write(text);
  }
}
