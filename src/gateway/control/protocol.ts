/**
 * What `runnel reload`, `runnel stop` and `runnel status` and a running gateway say to one another, over the gateway's control socket: lines
 * of JSON. The gateway begins with who it is, the client asks for one thing, and the gateway tells how that goes until it closes.
 */
import type { GatewayStatus } from '../../ops/status.ts';

/** The first line of a gateway. */
export interface GatewayIdentity {
  readonly pid: number;
  readonly version: string;
  /** Absolute path of the configuration. */
  readonly config: string;
  /** When it was started, ISO 8601. */
  readonly started: string;
  /** The effective user, as a number. */
  readonly user: number;
}

export type ControlRequest =
  | { readonly do: 'identify' }
  | { readonly do: 'reload' }
  | { readonly do: 'status' }
  /** `within`: how long what is under way may take, milliseconds; left out: `stop_timeout` of the configuration. */
  | { readonly do: 'stop'; readonly within?: number };

/** What a gateway that stops still has. */
export interface Remaining {
  readonly connections: number;
  /** Requests under way (a download is one), and WebSockets. */
  readonly requests: number;
  readonly programs: number;
}

/** What a reload has changed, by name. */
export interface ReloadChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** How many routes and listeners go on as they were. */
  readonly kept: number;
  /** Keys that hold only after a restart. */
  readonly restart: readonly string[];
}

/** What has come of a reload. The doubts and the problems are lines as `check` prints them; the summary is for one line. */
export type ReloadOutcome =
  | { readonly ok: true; readonly changes: ReloadChanges; readonly doubts: readonly string[] }
  | { readonly ok: false; readonly summary: string; readonly problems: readonly string[] };

/** A line of the gateway behind the first. */
export type ControlReply =
  | { readonly reloaded: ReloadOutcome }
  | { readonly status: GatewayStatus }
  /** While it stops; `left` is how long it goes on waiting, milliseconds. */
  | { readonly remaining: Remaining; readonly left?: number | undefined }
  | { readonly stopped: true }
  | { readonly refused: string };

/** Longer lines are nobody's, characters. A status of many streams is long. */
export const MAX_REPLY = 16 << 20;
export const MAX_REQUEST = 4096;

/** A request as it was sent; undefined where it is none. */
export function parseRequest(line: string): ControlRequest | undefined {
  const value = parseLine(line);
  if (value === undefined) return undefined;
  const { do: verb, within } = value;
  if (verb === 'identify' || verb === 'reload' || verb === 'status') return { do: verb };
  if (verb !== 'stop') return undefined;
  if (within === undefined) return { do: verb };
  return typeof within === 'number' && within >= 0 && within <= 2 ** 31 - 1 ? { do: verb, within } : undefined;
}

/** Who a gateway says that it is; undefined where the line says something else. */
export function parseIdentity(line: string): GatewayIdentity | undefined {
  const value = parseLine(line);
  if (value === undefined) return undefined;
  const { pid, version, config, started, user } = value;
  if (typeof pid !== 'number' || typeof user !== 'number' || typeof config !== 'string') return undefined;
  return { pid, user, config, version: String(version), started: String(started) };
}

/** The object on a line; undefined where there is none. */
export function parseLine(line: string): { readonly [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
