/**
 * The gateways that run on this machine, found by their control sockets, and a conversation with one of them. What answers on a socket is what
 * holds it open, so no number that was written down is ever taken for a process.
 */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { pidOfSocket, searchedFolders } from '../../gateway/control/folders.ts';
import {
  type ControlRequest,
  type GatewayIdentity,
  MAX_REPLY,
  parseIdentity,
  parseLine,
} from '../../gateway/control/protocol.ts';
import { statFields } from '../../ops/system/proc.ts';
import { systemCode, thisUser } from '../../ops/system-errors.ts';
import { visible } from '../../ops/visible.ts';
import { findUser } from '../../process/confinement/accounts.ts';
import { USUAL_FILES } from '../serve.ts';
import { readUnit, wordsOf } from '../service-unit.ts';
import { type CommandLine, EXIT, UsageError } from '../verb.ts';

/** A gateway that hangs says nothing for longer. Milliseconds. */
const HELLO_TIME = 5000;

export const gatewayFlags = {
  config: {
    short: 'c',
    value: 'FILE',
    doc: `the gateway of this configuration (default: that of ${USUAL_FILES.join(', then ')}; where neither exists, the only one that runs)`,
  },
  pid: { value: 'PID', doc: 'the gateway with this process id' },
} as const;

export interface RunningGateway {
  readonly identity: GatewayIdentity;
  readonly path: string;
}

interface Found {
  readonly gateways: readonly RunningGateway[];
  /** Process ids of those that only their own user, or root, may ask, with that user. */
  readonly closed: readonly { readonly pid: number; readonly user: number }[];
  /** Sockets on which nobody says who he is. */
  readonly silent: readonly string[];
}

/** Why no gateway can be told, for people, and the exit code for it. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }
}

/** The one that the command line means. Throws a `NotFound`, or a `UsageError`. */
export async function chosenGateway({ flags }: Pick<CommandLine, 'flags'>): Promise<RunningGateway> {
  const { config, pid } = flags;
  if (pid !== undefined && !/^[1-9]\d{0,9}$/.test(pid)) throw new UsageError(`--pid must be a process id (got ${pid})`);
  return choose(await runningGateways(), config ?? usualFile(pid), pid === undefined ? undefined : Number(pid));
}

/** Pure but for the file system: which one is meant. */
function choose(found: Found, file: string | undefined, pid: number | undefined): RunningGateway {
  const fits = found.gateways.filter(
    ({ identity }) =>
      (pid === undefined || identity.pid === pid) && (file === undefined || isSame(identity.config, file)),
  );
  const [only, ...more] = fits;
  if (only !== undefined && more.length === 0) return only;
  const wanted = [
    file === undefined ? '' : ` with ${resolve(file)}`,
    pid === undefined ? '' : ` as process ${pid}`,
  ].join('');
  if (only !== undefined)
    throw new NotFound(
      `${fits.length} gateways run${wanted}: name one with ${file === undefined ? '-c FILE or ' : ''}--pid PID\n${listed(fits)}`,
      EXIT.usage,
    );
  const closed = found.closed.filter((each) => pid === undefined || each.pid === pid);
  if (closed.length > 0)
    throw new NotFound(
      `no gateway${wanted} that ${thisUser()} may control is running; process ${closed
        .map((each) => `${each.pid} is a gateway of ${userName(each.user)}`)
        .join(', process ')}: use sudo, or become that user`,
      EXIT.noPermission,
    );
  if (found.silent.length > 0)
    throw new NotFound(
      `no gateway${wanted} answers; the process at ${found.silent.join(', ')} has said nothing within ${HELLO_TIME / 1000} s: it hangs or is stopped`,
      EXIT.unavailable,
    );
  const others = found.gateways.length === 0 ? '' : `\nThese run:\n${listed(found.gateways)}`;
  throw new NotFound(
    `no gateway${wanted} is running ("runnel serve" starts one; only those are found, not "runnel run")${others}`,
    EXIT.unavailable,
  );
}

/** Every gateway of this machine that this user may ask; for root those of all users. */
export async function runningGateways(): Promise<Found> {
  const uid = process.geteuid?.() ?? 0;
  const unit = readUnit();
  const folders = searchedFolders(
    { uid, env: process.env },
    unit === undefined ? [] : wordsOf(unit, 'RuntimeDirectory'),
  );
  const sockets = folders.flatMap((folder) =>
    namesIn(folder).flatMap((name) => {
      const pid = pidOfSocket(name);
      return pid === undefined ? [] : [{ path: join(folder, name), pid }];
    }),
  );
  const gateways = new Map<string, RunningGateway>();
  const closed: { pid: number; user: number }[] = [];
  const silent: string[] = [];
  await Promise.all(
    sockets.map(async ({ path, pid }) => {
      const user = ownerOf(path);
      // In a folder for everybody's files anybody may lay something under this name.
      if (user === undefined || (user !== uid && uid !== 0 && !path.startsWith('/run/'))) return;
      const conversation = new Conversation(path);
      try {
        const identity = await conversation.identity();
        // Nobody speaks for a process that is not his.
        if (identity !== undefined && isOwner(identity.pid, user))
          gateways.set(`${identity.pid} ${identity.started}`, { identity, path });
      } catch (error) {
        const code = systemCode(error);
        if (code === 'EACCES' || code === 'EPERM') closed.push({ pid, user });
        else if (code === undefined) silent.push(path);
      } finally {
        conversation.close();
      }
    }),
  );
  return { gateways: [...gateways.values()].sort((a, b) => a.identity.pid - b.identity.pid), closed, silent };
}

/** One connection to a gateway: who it is, then what it says to one request. */
export class Conversation {
  private readonly socket: Socket;
  private readonly lines: string[] = [];
  /** Of the line that has not ended, and its characters. */
  private pending: string[] = [];
  private length = 0;
  private readonly decoder = new StringDecoder('utf8');
  private over = false;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (chunk: Buffer) => this.take(chunk));
    this.socket.on('error', (error) => {
      this.failure = error;
    });
    this.socket.on('close', () => this.finish());
  }

  /** Undefined where it is none of ours. Rejects with the system's error, or with one without a code when nothing comes in time. */
  async identity(): Promise<GatewayIdentity | undefined> {
    const late = setTimeout(() => this.socket.destroy(new Error('it says nothing')), HELLO_TIME);
    try {
      const line = await this.next();
      return line === undefined ? undefined : parseIdentity(line);
    } finally {
      clearTimeout(late);
    }
  }

  /** What it says to the request, object by object, until it closes. */
  async *replies(request: ControlRequest): AsyncGenerator<{ readonly [key: string]: unknown }> {
    await this.identity();
    this.socket.write(`${JSON.stringify(request)}\n`);
    for (let line = await this.next(); line !== undefined; line = await this.next()) {
      const reply = parseLine(line);
      if (reply !== undefined) yield reply;
    }
  }

  close(): void {
    this.socket.destroy();
  }

  private async next(): Promise<string | undefined> {
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.failure !== undefined) throw this.failure;
      if (this.over) return undefined;
      await new Promise<void>((done) => {
        this.wake = done;
      });
    }
  }

  private take(chunk: Buffer): void {
    const text = this.decoder.write(chunk);
    this.length += text.length;
    this.pending.push(text);
    if (this.length > MAX_REPLY) this.socket.destroy();
    if (!text.includes('\n')) return;
    const parts = this.pending.join('').split('\n');
    const rest = parts.pop() ?? '';
    this.pending = [rest];
    this.length = rest.length;
    this.lines.push(...parts);
    this.wake?.();
  }

  private finish(): void {
    this.over = true;
    this.wake?.();
  }
}

/** "process 12 (runnel 0.1.0, /etc/runnel/runnel.toml)". */
export function describe({ pid, version, config }: GatewayIdentity): string {
  return `process ${pid} (runnel ${visible(version)}, ${visible(config)})`;
}

function listed(gateways: readonly RunningGateway[]): string {
  return gateways.map(({ identity }) => `  ${describe(identity)}, ${userName(identity.user)}`).join('\n');
}

/** The start time of a process, as the kernel counts; undefined where it is gone. Two processes with one number have different ones. */
export function startTime(pid: number): string | undefined {
  try {
    const fields = statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    // A zombie has ended; only nobody has asked how.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Whether a process belongs to a user. Where /proc does not tell, because it hides others', the socket's folder is what counts. */
function isOwner(pid: number, user: number): boolean {
  try {
    const ids = /^Uid:\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return ids === null || ids[2] === String(user);
  } catch {
    return true;
  }
}

function userName(id: number): string {
  try {
    return `the user ${findUser(readFileSync('/etc/passwd', 'utf8'), String(id))?.name ?? id}`;
  } catch {
    return `the user ${id}`;
  }
}

function usualFile(pid: string | undefined): string | undefined {
  if (pid !== undefined) return undefined;
  return USUAL_FILES.find((file) => realPath(file) !== undefined);
}

function isSame(config: string, file: string): boolean {
  const [one, other] = [realPath(config), realPath(file)];
  return config === resolve(file) || (one !== undefined && one === other);
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

function ownerOf(path: string): number | undefined {
  try {
    const found = statSync(path);
    return found.isSocket() ? found.uid : undefined;
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
