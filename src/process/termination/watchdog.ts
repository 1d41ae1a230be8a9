/**
 * The watchdog: when the gateway is killed with KILL it cannot end its programs any more, and one that neither reads nor writes
 * would never notice. So one small shell waits for the end of its stdin, which comes when the gateway is gone, and then ends
 * whatever stands in the table that it has as its descriptor 2.
 */
import { DEFAULT_PATH } from '../../ops/system/search-path.ts';
import type { Child, Spawner } from '../spawn.ts';
import { GroupTable } from './group-table.ts';

/**
 * `kill -s TERM -- -123` is what dash and bash understand, `kill -TERM -123` what busybox does. A program that was being started is sought by
 * a pipe that only it has, twice, because at first it may not have it yet.
 */
export const WATCHDOG_SCRIPT = `
trap "" INT TERM HUP QUIT PIPE USR1 USR2
exec 3<&2 2>/dev/null
while read -r _; do :; done
L= S=
while read -r p; do case $p in [1-9]*) L="$L $p" ;; \\?*) S="$S \${p#?}" ;; esac; done <&3
seek() {
  ls -l /proc/[0-9]*/fd/[012] | while read -r line; do
    for i in $S; do case $line in *" -> pipe:[$i]") p=\${line#*/proc/}; echo "\${p%%/*}" ;; esac; done
  done
}
end() {
  case $S in *[0-9]*) L="$L $(seek)" ;; esac
  for p in $L; do kill -s $1 -- "-$p" || kill -$1 "-$p"; done
}
case $L$S in *[0-9]*) end TERM; sleep 1; end KILL ;; esac
`;

/** One that has lived for less than this, in milliseconds, is not started again at once, but after as long. */
const RESTART_AFTER = 1000;
/** How long the shell may take to end by itself, milliseconds. */
const CLOSE_WITHIN = 3000;

/** capabilities(7). */
const CAP_KILL = 5;

/** What the watchdog knows of one program. */
export interface WatchdogEntry {
  /** It is being started; `pipe` is the inode of its stdin, stdout or stderr. */
  readonly starts: (pipe: number) => void;
  /** It runs, as leader of this group. */
  readonly runs: (group: number) => void;
  /** Nobody of it is left, or it was not started. Harmless when called again. */
  readonly leave: () => void;
}

export class Watchdog {
  private table: GroupTable | undefined;
  private shell: Child | undefined;
  private starting: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
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

  /** For a program that is about to be started. */
  entry(): WatchdogEntry {
    const { table } = this;
    const slot = table?.take();
    let left = false;
    return {
      starts: (pipe) => {
        if (slot !== undefined) table?.write(slot, `?${pipe}`);
      },
      runs: (group) => {
        if (slot !== undefined) table?.write(slot, String(group));
      },
      leave: () => {
        if (left || slot === undefined) return;
        left = true;
        table?.leave(slot);
      },
    };
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
    this.table?.clear();
    const shell = this.shell;
    if (shell !== undefined) {
      shell.stdin?.end();
      const timer = setTimeout(() => shell.signalGroup('SIGKILL'), CLOSE_WITHIN);
      await shell.exited;
      clearTimeout(timer);
    }
    this.table?.close();
    this.table = undefined;
  }

  private async start(): Promise<void> {
    try {
      this.table ??= new GroupTable(this.spawner.memoryFile(), (error) =>
        this.lost(describe('cannot be informed', error)),
      );
      const shell = await this.spawner.spawn({
        file: '/bin/sh',
        argv: ['runnel-watchdog', '-c', WATCHDOG_SCRIPT],
        env: new Map([['PATH', DEFAULT_PATH]]),
        directory: '/',
        stdin: 'pipe',
        stderr: this.table.descriptor,
        // For programs of other users.
        capabilities: [CAP_KILL],
      });
      shell.stdout.destroy();
      this.shell = shell;
      const born = performance.now();
      void shell.exited.then(() => this.gone(shell, performance.now() - born));
    } catch (error) {
      this.failed(describe('cannot be started', error));
    }
  }

  private gone(shell: Child, age: number): void {
    shell.stdin?.destroy();
    this.shell = undefined;
    if (this.closed) return;
    // At once: what kills one may well kill the gateway next.
    this.failed('the watchdog has died', age < RESTART_AFTER ? RESTART_AFTER : 0);
  }

  private failed(reason: string, after = RESTART_AFTER): void {
    this.lost(`${reason}; until it runs again, programs go on running when the gateway is killed`);
    if (this.closed) return;
    const again = (): void => {
      this.timer = undefined;
      if ((this.table?.size ?? 0) > 0) void this.ready();
    };
    if (after === 0) again();
    else this.timer = setTimeout(again, after).unref();
  }
}

function describe(what: string, error: unknown): string {
  return `the watchdog ${what}: ${error instanceof Error ? error.message : String(error)}`;
}
