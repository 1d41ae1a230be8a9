/**
 * Keeps what runs as the same user, CGI programs above all, from taking the gateway over or from getting its rights: system calls
 * that Node does not have, through the FFI add-on.
 */

/** The little of the add-on that is used here (`ops/addons/addon.ts` loads it). */
interface ForeignFunctions {
  load(library: string): { func(prototype: string): unknown };
}

/** prctl(2). */
const PR_SET_DUMPABLE = 4;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/**
 * From here on no other process of this user may read or write the gateway's memory, its environment or its descriptors (it would
 * need CAP_SYS_PTRACE), and programs do not inherit the capability to bind low ports, which the gateway keeps. To be called before
 * Node starts threads that could start programs: ambient capabilities are each thread's own. Throws where the C library is another.
 */
export function shield(addon: unknown): void {
  const prctl = (addon as ForeignFunctions)
    .load('libc.so.6')
    .func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)') as (
    option: number,
    ...values: [number, number, number, number]
  ) => number;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new Error('prctl refused to close the process');
  // Kernels before 4.3 have no such thing, so none to clear.
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}
