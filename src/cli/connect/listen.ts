/** Takes connections, and joins each with a stream of its own: a hop for programs that speak TCP or Unix sockets only. */
import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect as connectTo, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Session } from '../../client/session.ts';
import { systemCode, thisUser } from '../../ops/system-errors.ts';
import { EXIT } from '../verb.ts';
import { closeOn, report, type Stop, speaker, teller } from './endings.ts';
import { relay } from './relay.ts';
import type { ConnectSettings } from './settings.ts';

/** Until it is told to stop. @returns the exit status */
export async function listen(
  settings: ConnectSettings,
  address: NonNullable<ConnectSettings['listen']>,
  stop: Stop,
): Promise<number> {
  const say = speaker(settings.quiet);
  const open = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    if (open.size >= settings.maxConnections) {
      say(`${open.size} connections are open; one more was refused`);
      socket.destroy();
      return;
    }
    const serving: Promise<void> = serve(socket, settings, stop, say).finally(() => open.delete(serving));
    open.add(serving);
  });
  let failed = await begin(server, address);
  if (failed !== undefined && (await isLeftBehind(failed, address))) failed = await begin(server, address);
  if (failed !== undefined) {
    process.stderr.write(`runnel connect: cannot listen at ${address.text}: ${inWords(failed, address)}\n`);
    return systemCode(failed) === 'EACCES' ? EXIT.cannotCreate : EXIT.system;
  }
  say(`listening at ${placeOf(server)}`);
  if (!stop.signal.aborted)
    await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
  server.close();
  await Promise.all(open);
  return stop.status() ?? EXIT.ok;
}

async function serve(
  socket: Socket,
  settings: ConnectSettings,
  stop: Stop,
  say: (words: string) => void,
): Promise<void> {
  const session = new Session(settings.plan(teller(say)), undefined);
  closeOn(stop.signal, session);
  const outcome = await relay(session, { input: socket, output: socket, apart: false }, settings);
  const isClosed = typeof outcome === 'object' && !(outcome instanceof Error);
  // A loss is a reset, which the program can tell from an end.
  if (!isClosed) socket.resetAndDestroy();
  else if (!socket.destroyed) socket.destroySoon();
  if (outcome instanceof Error || (isClosed && outcome.code !== 1000)) report(outcome);
}

/** A socket file whose process has gone without taking it along. It is removed; what is alive, or no socket, stays. */
async function isLeftBehind(failed: Error, address: NonNullable<ConnectSettings['listen']>): Promise<boolean> {
  if (address.kind !== 'unix' || systemCode(failed) !== 'EADDRINUSE') return false;
  const { path } = address;
  try {
    if (!lstatSync(path).isSocket()) return false;
    const answer = await new Promise<string | undefined>((resolve) => {
      const probe = connectTo(path);
      const done = (code: string | undefined): void => {
        probe.destroy();
        resolve(code);
      };
      probe.once('connect', () => done(undefined)).once('error', (error) => done(systemCode(error)));
    });
    if (answer !== 'ECONNREFUSED') return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function inWords(error: Error, address: NonNullable<ConnectSettings['listen']>): string {
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return address.kind === 'unix' && !lstatSync(address.path, { throwIfNoEntry: false })?.isSocket()
        ? 'the path is another file, not a socket'
        : 'it is in use: another program listens there (EADDRINUSE)';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address (EADDRNOTAVAIL)';
    case 'EACCES':
      // libuv says so, too, where the folder is missing.
      return address.kind === 'unix' && !existsSync(dirname(address.path))
        ? `there is no folder ${dirname(address.path)}`
        : `${thisUser()} is not allowed to (EACCES)`;
    default:
      return error.message;
  }
}

function begin(server: Server, address: NonNullable<ConnectSettings['listen']>): Promise<Error | undefined> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    const listening = (): void => {
      server.off('error', resolve);
      resolve(undefined);
    };
    if (address.kind === 'unix') server.listen(address.path, listening);
    else server.listen(address.port, address.host, listening);
  });
}

function placeOf(server: Server): string {
  const place = server.address();
  if (place === null || typeof place === 'string') return `unix:${place ?? ''}`;
  return `${place.family === 'IPv6' ? `[${place.address}]` : place.address}:${place.port}`;
}
