/**
 * The calls of the C library that this folder and `starter/` make, declared for koffi. It is koffi's bare add-on, without
 * the JavaScript of its package; the little of it that is used is typed here. Sizes and constants are those of Linux with
 * glibc on x64, arm64 and arm (EABI, 32 bits), all little-endian.
 */

/** Where koffi passes a Buffer for a `void *`, C sees its bytes in place: it must not move while an `async` call runs. */
export interface PosixCalls {
  /** Bytes of a pointer. */
  readonly pointerSize: number;
  /** Where the bytes of a Buffer lie. */
  address(buffer: Buffer): bigint;
  /** Why the last call that answered -1 failed. */
  errno(): number;
  /** pipe2(2): two descriptors into `two`. */
  pipe2(two: Int32Array, flags: number): number;
  /** fcntl(2). */
  fcntl(descriptor: number, what: number, value: number): number;
  /** close(2), of what no part of Node has. */
  close(descriptor: number): number;
  /** memfd_create(2). */
  memoryFile(name: string, flags: number): number;
  kill(to: number, signal: number): number;
  waitpid(pid: number, status: Int32Array, options: number): number;
  waitid(type: number, id: number, info: Int32Array, options: number): number;
  /** poll(2) with one pollfd: the descriptor, then events and revents in one word. */
  poll(descriptor: Int32Array, count: number, milliseconds: number): number;
  actionsInit(actions: Buffer): number;
  actionsDestroy(actions: Buffer): number;
  actionsDup2(actions: Buffer, from: number, to: number): number;
  actionsChdir(actions: Buffer, directory: string): number;
  /** Not in glibc before 2.34. Without it a program also gets what the gateway inherited without close-on-exec. */
  readonly actionsCloseFrom: ((actions: Buffer, from: number) => number) | undefined;
  /** posix_spawn(3) on a thread of Node's pool; the program's id goes into `pid`. `result` is an errno, or 0. */
  spawn(
    pid: Buffer,
    file: string,
    actions: Buffer,
    attributes: Buffer,
    argv: bigint,
    envp: bigint,
    done: (error: Error | null, result: number) => void,
  ): void;
  /** The same on this thread, which waits for it. Answers an errno, or 0. */
  spawnHere(pid: Buffer, file: string, actions: Buffer, attributes: Buffer, argv: bigint, envp: bigint): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  /** socketpair(2): two descriptors into `two`. */
  socketpair(domain: number, type: number, protocol: number, two: Int32Array): number;
  /** sendmsg(2). */
  sendmsg(descriptor: number, message: Buffer, flags: number): number;
  /** Attributes for every program: an own session, default signals, an empty signal mask. */
  readonly attributes: Buffer;
}

export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_SETFL = 4;
export const MFD_CLOEXEC = 1;
/** It may hold code. Kernels before 6.3 do not know it, and let every one. */
export const MFD_EXEC = 0x10;
export const AF_UNIX = 1;
export const SOCK_SEQPACKET = 5;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const WNOHANG = 1;
export const WEXITED = 4;
export const WNOWAIT = 0x1000000;
export const P_ALL = 0;
export const POLLIN = 0x01;
export const POLLHUP = 0x10;

/** posix_spawn_file_actions_t: 80 bytes on 64-bit machines, 76 on 32-bit ones. Over 64, so that V8 keeps it off its heap. */
export const ACTIONS_BYTES = 128;

/** prctl(2). */
export const PR_SET_CHILD_SUBREAPER = 36;
const PR_CAP_AMBIENT = 47;
const IS_SET = 1;
const RAISE = 2;
const LOWER = 3;

const SPAWN_SETSIGDEF = 0x04;
const SPAWN_SETSIGMASK = 0x08;
const SPAWN_SETSID = 0x80;
/** posix_spawnattr_t: 336 bytes. */
const ATTRIBUTES_BYTES = 512;
/** sigset_t. */
const SIGNAL_SET_BYTES = 128;

interface Koffi {
  load(library: string): { func(prototype: string): unknown };
  sizeof(type: string): number;
  address(value: Buffer): bigint;
  errno(): number;
}

type Call<A extends readonly unknown[]> = (...args: A) => number;

/** @param addon koffi's exports (`loadKoffi`). Throws with the reason where the C library is another or too old. */
export function posixCalls(addon: unknown): PosixCalls {
  const koffi = addon as Koffi;
  const library = koffi.load('libc.so.6');
  // The prototypes in the strings are what counts; the types only repeat them.
  const declare = <F>(prototype: string): F => library.func(prototype) as F;
  const on = 'posix_spawn_file_actions_';
  const spawn = declare<PosixCalls['spawnHere'] & { async: PosixCalls['spawn'] }>(
    'int posix_spawn(void *pid, const char *file, void *actions, void *attributes, uintptr_t argv, uintptr_t envp)',
  );
  return {
    pointerSize: koffi.sizeof('void *'),
    address: (buffer) => BigInt(koffi.address(buffer)),
    errno: () => koffi.errno(),
    pipe2: declare('int pipe2(void *two, int flags)'),
    fcntl: declare('int fcntl(int descriptor, int what, int value)'),
    close: declare('int close(int descriptor)'),
    memoryFile: declare('int memfd_create(const char *name, unsigned int flags)'),
    kill: declare('int kill(int to, int signal)'),
    waitpid: declare('int waitpid(int pid, void *status, int options)'),
    waitid: declare('int waitid(int type, int id, void *info, int options)'),
    poll: declare('int poll(void *descriptors, unsigned long count, int milliseconds)'),
    actionsInit: declare(`int ${on}init(void *actions)`),
    actionsDestroy: declare(`int ${on}destroy(void *actions)`),
    actionsDup2: declare(`int ${on}adddup2(void *actions, int from, int to)`),
    // Since glibc 2.29. Without it there is no way to start a program in another folder, so child_process has to do all.
    actionsChdir: declare(`int ${on}addchdir_np(void *actions, const char *directory)`),
    actionsCloseFrom: perhaps(() => declare(`int ${on}addclosefrom_np(void *actions, int from)`)),
    spawn: (...args) => spawn.async(...args),
    spawnHere: spawn,
    prctl: declare('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
    socketpair: declare('int socketpair(int domain, int type, int protocol, void *two)'),
    sendmsg: declare('long sendmsg(int descriptor, void *message, int flags)'),
    attributes: makeAttributes(declare),
  };
}

/** Undefined where the library does not have it, which koffi says by throwing. */
function perhaps<F>(declaration: () => F): F | undefined {
  try {
    return declaration();
  } catch {
    return undefined;
  }
}

function makeAttributes(declare: <F>(prototype: string) => F): Buffer {
  const attributes = Buffer.alloc(ATTRIBUTES_BYTES);
  const signals = Buffer.alloc(SIGNAL_SET_BYTES);
  const of = 'posix_spawnattr_';
  const flags = SPAWN_SETSIGDEF | SPAWN_SETSIGMASK | SPAWN_SETSID;
  check(declare<Call<[Buffer]>>(`int ${of}init(void *attributes)`)(attributes), 'init');
  // Refused by a glibc that does not know SETSID (before 2.26).
  check(declare<Call<[Buffer, number]>>(`int ${of}setflags(void *attributes, short f)`)(attributes, flags), 'setflags');
  check(declare<Call<[Buffer]>>('int sigfillset(void *signals)')(signals), 'sigfillset');
  // Node ignores SIGPIPE, and ignored signals stay ignored over exec: `yes | head` would never end.
  const setDefault = declare<Call<[Buffer, Buffer]>>(`int ${of}setsigdefault(void *attributes, void *signals)`);
  check(setDefault(attributes, signals), 'setsigdefault');
  signals.fill(0);
  const setMask = declare<Call<[Buffer, Buffer]>>(`int ${of}setsigmask(void *attributes, void *signals)`);
  check(setMask(attributes, signals), 'setsigmask');
  return attributes;
}

function check(result: number, what: string): void {
  if (result !== 0) throw new Error(`posix_spawn attributes: ${what} failed with ${result}`);
}

/**
 * Runs `start` with these capabilities ambient, as far as this process has them and may hand them on; the others it cannot give. What a
 * program of another user than root is to have must be ambient in the thread that starts it (capabilities(7)), and what is ambient every
 * other program would have, too. So none is, but for the moment of such a start, and only on the thread that does it.
 */
export function withAmbient<T>(calls: PosixCalls, capabilities: readonly number[], start: () => T): T {
  const raised = capabilities.filter(
    (number) =>
      calls.prctl(PR_CAP_AMBIENT, IS_SET, number, 0, 0) === 0 && calls.prctl(PR_CAP_AMBIENT, RAISE, number, 0, 0) === 0,
  );
  try {
    return start();
  } finally {
    for (const number of raised) calls.prctl(PR_CAP_AMBIENT, LOWER, number, 0, 0);
  }
}
