/**
 * Pseudo-terminals (pty(7)) for the output of programs: what the C library's stdio asks, when it decides how long to hold
 * output back, is whether it goes to a terminal. Declared for koffi, like `calls.ts`.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { O_CLOEXEC } from './calls.ts';

export interface Terminal {
  /** The gateway's end. */
  readonly master: number;
  /** The same once more: the end is read through it when whoever waits at `master` has closed that. */
  readonly spare: number;
  /** The program's end, to be closed here once the program has it. */
  readonly slave: number;
}

/** struct termios is 60 bytes, struct winsize 8. Over 64, so that V8 keeps the memory off its heap. */
const STRUCT_BYTES = 128;
const NAME_BYTES = 128;
const TCSANOW = 0;
const F_DUPFD_CLOEXEC = 1030;
/** The same number on x64, arm64 and arm. */
const TIOCSWINSZ = 0x5414;
/**
 * Rows and columns. Programs that cut their lines to the window (ps) print them whole in one this wide, and those that repeat a
 * heading on every page (vmstat) do so rarely. Zero would be taken for 80 columns, and larger numbers do not fit a signed short.
 */
const WINDOW = 32_767;

interface Koffi {
  load(library: string): { func(prototype: string): unknown };
  errno(): number;
}

type Call<A extends readonly unknown[]> = (...args: A) => number;

export class Terminals {
  private readonly openMaster: Call<[number]>;
  private readonly grant: Call<[number]>;
  private readonly unlock: Call<[number]>;
  private readonly name: Call<[number, Buffer, number]>;
  private readonly getAttributes: Call<[number, Buffer]>;
  private readonly setAttributes: Call<[number, number, Buffer]>;
  private readonly makeRaw: (attributes: Buffer) => void;
  private readonly control: Call<[number, number, Buffer]>;
  private readonly duplicate: Call<[number, number, number]>;

  /** @param addon koffi's exports (`loadKoffi`). */
  constructor(private readonly addon: unknown) {
    const library = (addon as Koffi).load('libc.so.6');
    // The prototypes in the strings are what counts; the types only repeat them.
    const declare = <F>(prototype: string): F => library.func(prototype) as F;
    this.openMaster = declare('int posix_openpt(int flags)');
    this.grant = declare('int grantpt(int master)');
    this.unlock = declare('int unlockpt(int master)');
    this.name = declare('int ptsname_r(int master, void *name, size_t length)');
    this.getAttributes = declare('int tcgetattr(int fd, void *attributes)');
    this.setAttributes = declare('int tcsetattr(int fd, int when, const void *attributes)');
    this.makeRaw = declare('void cfmakeraw(void *attributes)');
    this.control = declare('int ioctl(int fd, unsigned long request, void *argument)');
    this.duplicate = declare('int fcntl(int fd, int command, long argument)');
  }

  /**
   * A new one in raw mode: bytes come out as they went in, nothing is echoed, no byte is a signal. Throws with the errno as
   * `errno` where there is none: ENOENT without /dev/ptmx, ENOSPC when all are taken (/proc/sys/kernel/pty/max).
   */
  open(): Terminal {
    // NOCTTY: neither the gateway nor a program may get it as its controlling terminal, whose end would send it HUP.
    const master = this.openMaster(constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC);
    if (master < 0) throw this.failure('posix_openpt');
    const open = [master];
    try {
      const spare = this.duplicate(master, F_DUPFD_CLOEXEC, 0);
      if (spare < 0) throw this.failure('fcntl F_DUPFD_CLOEXEC');
      open.push(spare);
      const name = Buffer.alloc(NAME_BYTES);
      this.need('grantpt', this.grant(master));
      this.need('unlockpt', this.unlock(master));
      this.need('ptsname_r', this.name(master, name, NAME_BYTES));
      const slave = openSync(name.toString('latin1', 0, name.indexOf(0)), constants.O_RDWR | constants.O_NOCTTY);
      open.push(slave);
      this.prepare(slave);
      return { master, spare, slave };
    } catch (error) {
      for (const descriptor of open) closeSync(descriptor);
      throw error;
    }
  }

  private prepare(slave: number): void {
    const attributes = Buffer.alloc(STRUCT_BYTES);
    this.need('tcgetattr', this.getAttributes(slave, attributes));
    this.makeRaw(attributes);
    this.need('tcsetattr', this.setAttributes(slave, TCSANOW, attributes));
    const window = Buffer.alloc(STRUCT_BYTES);
    window.writeUInt16LE(WINDOW, 0);
    window.writeUInt16LE(WINDOW, 2);
    this.need('ioctl TIOCSWINSZ', this.control(slave, TIOCSWINSZ, window));
  }

  private need(what: string, result: number): void {
    if (result !== 0) throw this.failure(what);
  }

  private failure(what: string): Error {
    const errno = (this.addon as Koffi).errno();
    return Object.assign(new Error(`no pseudo-terminal: ${what} failed with ${errno}`), { errno });
  }
}
