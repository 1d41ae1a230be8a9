/**
 * The control socket of a running gateway: a Unix socket, for the gateway's own user and root, by which `runnel reload`, `runnel stop`
 * and `runnel status` find the gateway and hear how it goes. So no process is ever signalled by a number that was written down, and one that was killed answers nobody.
 */
import { lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { listenOnPath } from '../../engine/door/socket-file.ts';
import type { GatewayStatus } from '../../ops/status.ts';
import { systemCode } from '../../ops/system-errors.ts';
import { type ControlFolder, MAX_PATH, pidOfSocket, socketName } from './folders.ts';
import {
  type ControlReply,
  type ControlRequest,
  type GatewayIdentity,
  MAX_REQUEST,
  parseRequest,
  type ReloadOutcome,
  type Remaining,
} from './protocol.ts';

const MODE = 0o600;
/** How many may be connected at once; further ones wait for the kernel's patience. */
const MAX_CLIENTS = 8;
/** Until a client has said what it wants, and until a socket of before has answered. Milliseconds. */
const REQUEST_TIME = 10_000;
const LOOK_TIME = 1000;
/** In which a client takes the last thing that it is told, milliseconds. */
const READ_TIME = 30_000;
/** How often a client that waits for the end is told what is left, milliseconds. */
const TELL_EVERY = 1000;
const FIRST_TELL = 100;
/** Names that are tried in one folder. */
const TURNS = 10;

export interface ControlParts {
  identity(): GatewayIdentity;
  reload(): Promise<ReloadOutcome>;
  status(): GatewayStatus;
  /** Called again it hurries, if the time is shorter. */
  stop(within: number | undefined): void;
  remaining(): Remaining & { readonly left: number | undefined };
}

/** Listens in the first of the folders that can be had. Rejects with what each of them says where none can. */
export async function openControl(folders: readonly ControlFolder[], parts: ControlParts): Promise<ControlServer> {
  const reasons: string[] = [];
  for (const folder of folders) {
    try {
      if (folder.make) makeFolder(folder.path);
      await removeDead(folder.path);
      return await listenIn(folder.path, parts);
    } catch (error) {
      reasons.push(`${folder.path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(reasons.join('; '));
}

export class ControlServer {
  private readonly clients = new Set<Socket>();
  /** Those that wait for the end. */
  private readonly waiting = new Set<Socket>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    readonly path: string,
    private readonly server: Server,
    private readonly parts: ControlParts,
  ) {
    server.maxConnections = MAX_CLIENTS;
    server.on('connection', (socket) => this.serve(socket));
    // Whatever happens to it, what the gateway is there for goes on.
    server.on('error', () => undefined);
    // It keeps no process alive.
    server.unref();
  }

  /** Tells those who wait that it is over. */
  close(): void {
    clearInterval(this.timer);
    // Node removes the path.
    this.server.close();
    for (const socket of this.clients)
      if (this.waiting.has(socket)) say(socket, { stopped: true }, true);
      else socket.destroy();
  }

  private serve(socket: Socket): void {
    this.clients.add(socket);
    socket.unref();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.clients.delete(socket);
      this.waiting.delete(socket);
    });
    socket.write(`${JSON.stringify(this.parts.identity())}\n`);
    const late = setTimeout(() => socket.destroy(), REQUEST_TIME);
    late.unref();
    socket.on('close', () => clearTimeout(late));
    let received = '';
    const take = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\n');
      if (end === -1 && received.length <= MAX_REQUEST) return;
      clearTimeout(late);
      socket.off('data', take);
      // What else it says is nothing that is asked for.
      socket.resume();
      this.perform(parseRequest(received.slice(0, Math.max(end, 0))), socket);
    };
    socket.on('data', take);
  }

  private perform(request: ControlRequest | undefined, socket: Socket): void {
    const { parts } = this;
    switch (request?.do) {
      case undefined:
        say(socket, { refused: 'this gateway does not know the request: it has another version' }, true);
        return;
      case 'identify':
        socket.end();
        return;
      case 'reload':
        void parts.reload().then((reloaded) => say(socket, { reloaded }, true));
        return;
      case 'status':
        say(socket, { status: parts.status() }, true);
        return;
      case 'stop':
        this.waiting.add(socket);
        this.timer ??= setInterval(() => this.tell(), TELL_EVERY);
        parts.stop(request.within);
        // The end begins in another turn.
        setTimeout(() => this.tell(), FIRST_TELL).unref();
    }
  }

  private tell(): void {
    const { left, ...remaining } = this.parts.remaining();
    for (const socket of this.waiting) say(socket, { remaining, left }, false);
  }
}

function say(socket: Socket, reply: ControlReply, last: boolean): void {
  // Somebody who does not read is not told what has changed meanwhile.
  if (!last && socket.writableLength > 0) return;
  const line = `${JSON.stringify(reply)}\n`;
  if (!last) {
    socket.write(line);
    return;
  }
  socket.end(line);
  socket.setTimeout(READ_TIME, () => socket.destroy());
}

async function listenIn(folder: string, parts: ControlParts): Promise<ControlServer> {
  for (let turn = 0; ; turn++) {
    const path = join(folder, socketName(process.pid, turn));
    if (Buffer.byteLength(path) > MAX_PATH) throw new Error('its path is too long for a socket');
    try {
      return new ControlServer(path, await listen(path), parts);
    } catch (error) {
      if (systemCode(error) !== 'EADDRINUSE' || turn === TURNS) throw error;
    }
  }
}

function listen(path: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve(server);
    });
    try {
      listenOnPath(server, path, { mode: MODE, owner: undefined, group: undefined });
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** A folder of ours, in which nobody else can put or replace anything. */
function makeFolder(path: string): void {
  try {
    // Others may see who runs, as they see the processes; a socket in it is open to nobody else.
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const found = lstatSync(path);
  const uid = process.geteuid?.();
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0)
    throw new Error('it is not a folder of this user alone');
}

/** Takes away sockets of gateways that were killed. */
async function removeDead(folder: string): Promise<void> {
  const sockets = readdirSync(folder).filter((name) => pidOfSocket(name) !== undefined);
  await Promise.all(
    sockets.map(async (name) => {
      const path = join(folder, name);
      if (!(await isDead(path))) return;
      try {
        unlinkSync(path);
      } catch {
        // Somebody else has.
      }
    }),
  );
}

function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (dead: boolean): void => {
      socket.destroy();
      resolve(dead);
    };
    socket.setTimeout(LOOK_TIME, () => done(false));
    socket.once('connect', () => done(false));
    socket.once('error', (error) => done(systemCode(error) === 'ECONNREFUSED'));
  });
}
