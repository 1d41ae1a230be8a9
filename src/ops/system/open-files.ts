/** How many files this process may have open, and who is connected to it: as the kernel tells. */
import { readFileSync } from 'node:fs';

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
