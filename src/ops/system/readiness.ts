/**
 * What systemd is told (sd_notify(3)): that the gateway is ready, what it does now, that it reloads, that it stops, and, where the unit
 * has a watchdog, that its event loop still turns. Without NOTIFY_SOCKET in the environment nothing is said.
 *
 * Through the C library where the FFI add-on is loaded, else by the program `systemd-notify`; then the unit needs NotifyAccess=all,
 * as ours has.
 */
import { execFile } from 'node:child_process';
import type { Log } from '../log.ts';
import { datagramSocket } from './datagrams.ts';

export interface Readiness {
  /** The gateway serves. `status` is what `systemctl status` shows. From here on the watchdog is fed. */
  ready(status: string): void;
  /** From here on `status` is asked every ten seconds, and systemd is told when it has changed. */
  follow(status: () => string): void;
  /** The configuration is read again; `ready` follows, whatever has come of it. */
  reloading(): void;
  /** The gateway stops. The watchdog is fed until `close`. */
  stopping(status: string): void;
  close(): void;
}

/** How often a changed status is told at most. Milliseconds. */
const STATUS_INTERVAL = 10_000;
const SILENT: Readiness = { ready() {}, follow() {}, reloading() {}, stopping() {}, close() {} };

type Environment = { readonly [name: string]: string | undefined };
type Send = (text: string) => void;

/** How long `systemd-notify` may take. Milliseconds. */
const PROGRAM_TIMEOUT = 5000;

/** @param addon the FFI add-on's exports, or undefined where it is not loaded. */
export function openReadiness(
  environment: Environment,
  addon: unknown,
  log: Log,
  statusInterval = STATUS_INTERVAL,
): Readiness {
  const path = environment['NOTIFY_SOCKET'];
  if (path === undefined || !/^[/@]./.test(path)) return SILENT;
  const send = bySocket(addon, path, log) ?? byProgram(environment, log);
  const interval = watchdogInterval(environment);
  let timer: NodeJS.Timeout | undefined;
  let follower: NodeJS.Timeout | undefined;
  let told = '';
  return {
    ready(status) {
      told = oneLine(status);
      send(`READY=1\nSTATUS=${told}`);
      if (interval === undefined || timer !== undefined) return;
      send('WATCHDOG=1');
      timer = setInterval(() => send('WATCHDOG=1'), interval);
      timer.unref();
    },
    follow(status) {
      follower = setInterval(() => {
        const now = oneLine(status());
        if (now === told) return;
        told = now;
        send(`STATUS=${now}`);
      }, statusInterval);
      follower.unref();
    },
    // Microseconds of CLOCK_MONOTONIC, which is Node's too (uv_hrtime).
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping(status) {
      clearInterval(follower);
      send(`STOPPING=1\nSTATUS=${oneLine(status)}`);
    },
    close: () => clearInterval(timer),
  };
}

/** Half of the watchdog's time, in milliseconds, if there is one and it is meant for this process (sd_watchdog_enabled(3)). */
export function watchdogInterval(environment: Environment): number | undefined {
  const { WATCHDOG_USEC: time, WATCHDOG_PID: pid } = environment;
  if (time === undefined || !/^[1-9][0-9]*$/.test(time)) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  // A timer of Node takes 32 bits.
  return Math.min(Math.max(1, Math.floor(Number(time) / 2000)), 2 ** 31 - 1);
}

function bySocket(addon: unknown, path: string, log: Log): Send | undefined {
  if (addon === undefined) return undefined;
  try {
    const socket = datagramSocket(addon, path);
    return (text) => {
      if (!socket.send(text)) log.warn('systemd did not accept a notification', { notification: oneLine(text) });
    };
  } catch {
    // Another C library: the program does it.
    return undefined;
  }
}

function byProgram(environment: Environment, log: Log): Send {
  const { PATH = '/usr/bin:/bin', NOTIFY_SOCKET } = environment;
  // One after the other: "stopping" must not overtake "ready".
  let last: Promise<void> = Promise.resolve();
  return (text) => {
    last = last.then(
      () =>
        new Promise((resolve) => {
          const options = { env: { PATH, NOTIFY_SOCKET }, timeout: PROGRAM_TIMEOUT };
          execFile('systemd-notify', text.split('\n'), options, (error) => {
            if (error !== null)
              log.warn('systemd cannot be notified', { notification: oneLine(text), error: error.message });
            resolve();
          });
        }),
    );
  };
}

/** A line break would start another assignment. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
