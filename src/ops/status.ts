/**
 * What a gateway tells whoever operates it, as plain data, and what may be done to it. Each part tells of itself when it is asked
 * (`Handler.status`, `Programs.list`, `Certificates.list` …); the gateway puts it together; the status page, `/status.json` and
 * `runnel status` show it. Times are milliseconds since 1970, sizes bytes. Nothing in it is a secret.
 */
import type { Trouble } from './recent-trouble.ts';

/** Numbers under a few names: statuses, transports, reasons. */
export type Counts = { readonly [name: string]: number };

/** A source of messages, as its channel sees it. */
export interface SourceStatus {
  /** running; away: it is asked or connected to again and again; restarting: after a while; starting; idle: nobody needs it; ended. */
  readonly state: 'running' | 'away' | 'restarting' | 'starting' | 'idle' | 'ended';
  /** Since when, where that is known. */
  readonly since?: number | undefined;
  /** What is wrong, in a sentence. */
  readonly why?: string | undefined;
  /** Of a program. */
  readonly pid?: number | undefined;
}

export interface MessageStatus {
  readonly id: string;
  /** The beginning of it; of a binary one in hexadecimal. */
  readonly text: string;
  readonly binary: boolean;
  readonly bytes: number;
}

export interface ClientStatus {
  /** Names it for `Handler.endClient`. */
  readonly name: string;
  readonly transport: string;
  readonly address: string;
  readonly user?: string | undefined;
  /** Bytes that wait for it. */
  readonly backlog: number;
}

/** What joins clients to one source. */
export interface ChannelStatus {
  /** Stays its own as long as it is there, and is no other's after it. */
  readonly id: string;
  /** Which of the stream's it is: a query, a user; "" for the only one. */
  readonly name: string;
  readonly source: SourceStatus;
  /** How often its source was started again. */
  readonly restarts: number;
  readonly viewers: number;
  /** Messages that are kept, and their bytes. */
  readonly kept: number;
  readonly keptBytes: number;
  /** The last ones, the newest first, where all viewers of the stream get the same. */
  readonly last: readonly MessageStatus[];
  /** The first of them. */
  readonly clients: readonly ClientStatus[];
}

/** What a stream tells of itself. */
export interface StreamFacts {
  /** The key that chose its source: "command", "poll" … */
  readonly source: string;
  readonly share: string;
  readonly viewers: number;
  readonly transports: Counts;
  /** Clients that have not taken everything, and the bytes that wait for all of them. */
  readonly behind: number;
  readonly backlog: number;
  /** The first of them, and how many there are. */
  readonly channels: readonly ChannelStatus[];
  readonly channelCount: number;
}

/** What a handler tells of itself. */
export interface RouteFacts {
  readonly stream?: StreamFacts;
}

export interface CertificateStatus {
  readonly title: string;
  readonly names: readonly string[];
  readonly notAfter: number;
  readonly daysLeft: number;
  /** SHA-256, hexadecimal in pairs with colons. */
  readonly fingerprint: string;
}

export interface ListenerStatus {
  readonly name: string;
  /** What a person types. */
  readonly url: string;
  readonly engine: string;
  readonly secure: boolean;
  readonly admin: boolean;
  /** Open ones; undefined where they are not counted. */
  readonly connections: number | undefined;
  /** Malformed requests, and connections over a limit. */
  readonly refused: number;
  /** It was taken down for maintenance: it serves, and `/readyz` says no. */
  readonly down: boolean;
  readonly certificates: readonly CertificateStatus[];
}

export interface RouteStatus {
  readonly key: string;
  readonly kind: string;
  /** Since the start of the gateway. */
  readonly requests: number;
  /** By class: "2xx". */
  readonly statuses: Counts;
  /** Requests a second, over the last quarter of a minute or so. */
  readonly rate: number;
  /** Seconds that answers took: the mean, and what 95 of 100 took at most; undefined where there was none. */
  readonly time?: { readonly mean: number; readonly p95: number } | undefined;
  /** Clients that left before their answer was complete. */
  readonly aborted: number;
  /** Bytes of bodies. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** By policy, or because it was busy. */
  readonly refused: Counts;
}

export interface StreamStatus extends StreamFacts {
  readonly key: string;
  /** Messages since the start of the gateway: from clients, and to clients. */
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesOut: number;
  /** By reason. */
  readonly dropped: Counts;
}

export interface ProgramStatus {
  readonly route: string;
  readonly pid: number;
  readonly since: number;
  /** Processor time, seconds, and resident memory, of the program itself; undefined where /proc does not say. */
  readonly processor: number | undefined;
  readonly resident: number | undefined;
  /** It is being ended. */
  readonly ending: boolean;
  /** Its last words on stderr, the newest last. */
  readonly words: readonly string[];
}

/** The last program of a route that failed. */
export interface FailureStatus {
  readonly route: string;
  readonly pid: number;
  readonly time: number;
  /** "exit 1", "signal SIGSEGV". */
  readonly how: string;
  readonly words: readonly string[];
}

export interface ReloadStatus {
  readonly time: number;
  readonly ok: boolean;
  readonly why?: string | undefined;
}

/** Of the whole gateway, since its start: what charts are made of. */
export interface Totals {
  readonly requests: number;
  /** Of them, with a status of 500 or more. */
  readonly errors: number;
  readonly messages: number;
  readonly viewers: number;
  readonly programs: number;
  readonly connections: number;
  readonly bytesOut: number;
  /** Bytes. */
  readonly resident: number;
  /** Seconds of processor time. */
  readonly processor: number;
  /** Seconds that answers have taken, and how many those were. */
  readonly requestSeconds: number;
  readonly timed: number;
}

/** The last hour, a number for each interval, the oldest first; all lists are of one length. */
export interface HourStatus {
  /** Seconds of one interval. */
  readonly interval: number;
  /** When the last one ended. */
  readonly until: number;
  readonly requests: readonly number[];
  readonly errors: readonly number[];
  readonly messages: readonly number[];
  readonly viewers: readonly number[];
  readonly resident: readonly number[];
  readonly processor: readonly number[];
  /** Mean milliseconds of an answer. */
  readonly time: readonly number[];
}

export interface GatewayStatus {
  readonly now: number;
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly started: number;
  readonly ready: boolean;
  /** Why not. */
  readonly notReady: readonly string[];
  /** The file, undefined where there is none, when what is in force was read, and what came of the last reload. */
  readonly configuration: {
    readonly file: string | undefined;
    readonly loaded: number;
    readonly reload: ReloadStatus | undefined;
  };
  readonly memory: { readonly resident: number; readonly heap: number; readonly limit: number | undefined };
  readonly programsMax: number;
  readonly connectionsMax: number;
  /** Lines of the log that nobody read in time. */
  readonly logDropped: number;
  readonly totals: Totals;
  readonly listeners: readonly ListenerStatus[];
  readonly routes: readonly RouteStatus[];
  readonly streams: readonly StreamStatus[];
  readonly programs: readonly ProgramStatus[];
  readonly failures: readonly FailureStatus[];
  /** The newest first. */
  readonly trouble: readonly Trouble[];
  readonly hour: HourStatus;
}

/** What an operator may do, where the configuration allows it. */
export type Action =
  | { readonly action: 'reload' }
  /** Ends a program; its route starts it again by its own rule. */
  | { readonly action: 'restart'; readonly pid: number }
  | { readonly action: 'end-client'; readonly route: string; readonly client: string }
  /** A listener is down, or up again. */
  | { readonly action: 'maintenance'; readonly listener: string; readonly down: boolean };

/** What came of it, in a sentence. */
export interface ActionResult {
  readonly ok: boolean;
  readonly text: string;
}

/** The gateway, as its operator sees it. */
export interface Operator {
  status(): GatewayStatus;
  /** @param by who has asked for it: a user or an address, for the log */
  act(action: Action, by: string): Promise<ActionResult>;
}
