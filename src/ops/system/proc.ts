/** What /proc tells of this process: whether it is there, how many files may be open, who is connected. */
import { existsSync, readFileSync } from 'node:fs';

/** Where this process finds its own open files: the one part without which files and programs are not served. */
const OWN_FILES = '/proc/self/fd';

/** What does not work because /proc is not there, and what to do: a sentence. Undefined where it is there. */
export function missingProc(): string | undefined {
  if (existsSync(OWN_FILES)) return undefined;
  return '/proc is not mounted here, and without it no file and no CGI or FastCGI program can be served: mount it (mount -t proc proc /proc)';
}

/** The fields of /proc/PID/stat behind the name (proc_pid_stat(5)): the state first. The name may have spaces and parentheses of its own. */
export function statFields(text: string): readonly string[] {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** proc_net_tcp(5): sl, local, remote, state 01, queues, timer, retransmissions, uid, timeout, inode. */
const ESTABLISHED =
  /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4} 01 \S+ \S+ \S+ +\d+ +\d+ [1-9]/;

/** RLIMIT_NOFILE as it holds now; undefined where it cannot be read. */
export function openFilesLimit(): number | undefined {
  const match = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits'));
  return Number(match?.[1] ?? limitInReport()) || undefined;
}

/** Without /proc. It is much work for one number. */
function limitInReport(): unknown {
  const report = process.report?.getReport() as { readonly userLimits?: { readonly open_files?: { soft?: unknown } } };
  return report?.userLimits?.open_files?.soft;
}

/**
 * Bytes (4 or 16) of the remote address of each established TCP connection to one of these local ports. Those that wait to be
 * accepted are left out: they have no inode yet.
 */
export function connectedPeers(ports: ReadonlySet<number>): readonly Uint8Array[] {
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line) => {
        const match = ESTABLISHED.exec(line);
        if (match === null || !ports.has(Number.parseInt(match[1] ?? '', 16))) return [];
        return [words(match[2] ?? '')];
      }),
  );
}

/** The table shows an address as 32-bit words, each in the processor's own order; all of ours are little-endian. */
function words(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  return bytes.swap32();
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
