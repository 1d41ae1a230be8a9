/**
 * The certificates of one listener while it runs: read, served, watched, and replaced in memory when their files change. Open
 * connections go on with what they began with.
 */
import { randomBytes } from 'node:crypto';
import { promises } from 'node:fs';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { systemCode } from '../../ops/system-errors.ts';
import { day, firstToEnd, inChain, validity } from '../identity.ts';
import type { Environment } from '../passphrase.ts';
import { TlsError } from '../tls-file.ts';
import { Contexts, type MakeContext, type ServedIdentity } from './contexts.ts';
import { milestone } from './expiry.ts';
import { filesOf, type TlsSettings } from './settings.ts';

/** How often the files are looked at. Milliseconds. */
const LOOK_EVERY = 5000;
/** How often unchanged files are tried again that could not be used. Milliseconds. */
const RETRY_EVERY = 60_000;
/** How often the keys of session tickets change, so that a stolen one opens few hours of recorded traffic. Milliseconds. */
const ROTATE_EVERY = 8 * 3_600_000;
/** How long a session can be resumed. Seconds. */
const SESSION_TIMEOUT = 3600;

/** Not worth telling: the next look finds them as they have become. */
const CHANGING = 'the files change while they are read';

/** What of a server of node:tls the store needs. */
export interface TlsServer {
  setSecureContext(options: SecureContextOptions): void;
  setTicketKeys(keys: Buffer): unknown;
}

export interface StoreEvents {
  /** New certificates are served from now on. */
  reloaded(titles: readonly string[]): void;
  /** The files cannot be used; what was served before still is. Told once for each distinct problem. */
  failed(message: string): void;
  /** A certificate, or an intermediate one of its chain, ends within `days` (30, 14, 7, 3, 1), or has ended (0). Told once for each. */
  expiring(what: string, days: number, notAfter: number): void;
  /** These are served now, instead of those; at the start too. */
  serving(certificates: readonly CertificateFacts[], before: readonly CertificateFacts[]): void;
}

export interface CertificateFacts {
  readonly title: string;
  readonly names: readonly string[];
  /** Milliseconds since 1970; the earliest end in its chain. */
  readonly notAfter: number;
  /** Of the certificate itself: SHA-256, hexadecimal in pairs with colons. */
  readonly fingerprint: string;
  /** What of the chain that is: "the certificate for board.test". */
  readonly what: string;
}

export class CertificateStore {
  private server: TlsServer | undefined;
  private looks: NodeJS.Timeout | undefined;
  private rotations: NodeJS.Timeout | undefined;
  private closed = false;
  /** Files that differ from the served ones and could not be used. */
  private pending: { readonly state: string; readonly tried: number; readonly told: boolean } | undefined;
  /** The last problem that was told. */
  private reported: string | undefined;
  private looking: Promise<void> | undefined;
  private readonly told = new Map<string, number>();

  private constructor(
    private settings: TlsSettings,
    private readonly environment: Environment,
    private readonly events: StoreEvents,
    private current: Contexts,
    /** The state of the files that are served. */
    private served: string,
  ) {}

  /** Reads the files. Rejects with a `TlsError` when they cannot be used; an expired certificate can. */
  static async open(settings: TlsSettings, environment: Environment, events: StoreEvents): Promise<CertificateStore> {
    // Before they are read: a change in between is seen at the first look.
    const state = await filesState(filesOf(settings, environment));
    const contexts = await Contexts.load(settings, environment);
    const store = new CertificateStore(settings, environment, events, contexts, state);
    events.serving(store.certificates(), []);
    store.tellExpiry();
    return store;
  }

  /** What `https.createServer` is to be given. `make` is node:tls's own, which is not loaded for the engine `uws`. */
  serverOptions(make: MakeContext): TlsOptions {
    return {
      ...this.current.defaults,
      sessionTimeout: SESSION_TIMEOUT,
      ticketKeys: randomBytes(48),
      // The engine refuses clients without a certificate, with a sentence that they can read.
      requestCert: this.settings.client !== undefined,
      rejectUnauthorized: false,
      SNICallback: (name, done) => done(null, this.current.find(name, make)),
    };
  }

  /** Whether requests of clients without an acceptable certificate are to be refused. */
  get requiresClient(): boolean {
    return this.settings.client?.mode === 'required';
  }

  /**
   * What a client is served with that names `host`, or none: the same choice as a server of Node's makes. Undefined where clients are asked for
   * certificates: only Node's TLS tells what they have sent.
   */
  identityFor(host: string | undefined): ServedIdentity | undefined {
    return this.settings.client === undefined ? this.current.identityFor(host) : undefined;
  }

  /** Looks at the files from now on, until `close`. */
  watch(lookEvery = LOOK_EVERY): void {
    if (this.closed) return;
    clearInterval(this.looks);
    this.looks = setInterval(() => void this.look(false), lookEvery).unref();
  }

  /** The same, and keeps `server` supplied instead of any other. */
  attach(server: TlsServer, lookEvery = LOOK_EVERY): void {
    // A server that was made for the last connections of a listener that has stopped.
    if (this.closed) return;
    this.server = server;
    clearInterval(this.rotations);
    this.rotations = setInterval(() => server.setTicketKeys(randomBytes(48)), ROTATE_EVERY).unref();
    this.watch(lookEvery);
  }

  /**
   * Reads what other settings name. Rejects with a `TlsError` when that cannot be used; otherwise resolves with what puts it in force,
   * for new connections. Whether clients are asked for certificates must be the same.
   */
  async prepare(settings: TlsSettings): Promise<() => void> {
    const state = await filesState(filesOf(settings, this.environment));
    const next = await Contexts.load(settings, this.environment);
    return () => {
      this.settings = settings;
      this.served = state;
      this.pending = undefined;
      this.reported = undefined;
      if (next.digest !== this.current.digest) this.serve(next);
    };
  }

  /** Reads the files now, changed or not. Resolves when what they hold is served, or `failed` has been told why not. */
  async reload(): Promise<void> {
    await this.looking;
    await this.look(true);
  }

  certificates(): readonly CertificateFacts[] {
    return this.current.identities.map((identity) => {
      const { title, names, leaf } = identity;
      return { title, names, fingerprint: leaf.fingerprint256, ...firstToEnd(identity) };
    });
  }

  close(): void {
    this.closed = true;
    clearInterval(this.looks);
    clearInterval(this.rotations);
    this.server = undefined;
  }

  private look(now: boolean): Promise<void> {
    this.looking ??= this.lookOnce(now).finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookOnce(atOnce: boolean): Promise<void> {
    this.tellExpiry();
    const state = await this.state();
    if (state === this.served && !atOnce) {
      this.pending = undefined;
      this.reported = undefined;
      return;
    }
    const { pending } = this;
    const again = pending?.state === state;
    if (!atOnce && again && pending.told && performance.now() - pending.tried < RETRY_EVERY) return;
    const problem = await this.replace(state);
    if (problem === undefined) {
      this.pending = undefined;
      this.reported = undefined;
      return;
    }
    // Key and certificate are often written one after the other: what does not fit together yet may do so at the next look.
    const tell = problem !== CHANGING && (atOnce || again);
    this.pending = { state, tried: performance.now(), told: tell };
    if (!tell || (problem === this.reported && !atOnce)) return;
    this.reported = problem;
    this.events.failed(problem);
  }

  /** Serves what the files hold, when it can be used and did not change meanwhile. Otherwise says why not. */
  private async replace(state: string): Promise<string | undefined> {
    try {
      const next = await Contexts.load(this.settings, this.environment);
      if ((await this.state()) !== state) return CHANGING;
      const now = Date.now();
      const invalid = next.invalidAt(now);
      if (invalid !== undefined && this.current.invalidAt(now) === undefined) {
        const { certificate, identity } = invalid;
        const { from, to } = validity(certificate);
        const which =
          certificate === identity.leaf
            ? `the new certificate for ${identity.title}`
            : inChain(certificate, identity.title);
        return `${which} is valid from ${day(from)} to ${day(to)}, which is not now`;
      }
      this.served = state;
      // Files that were only touched, or a signal for another reason: nobody gets anything else.
      if (next.digest === this.current.digest) return undefined;
      this.serve(next);
      return undefined;
    } catch (error) {
      if (error instanceof TlsError) return error.message;
      throw error;
    }
  }

  private serve(next: Contexts): void {
    const before = this.certificates();
    this.current = next;
    this.server?.setSecureContext(next.defaults);
    // Sessions that began with the old certificate are not resumed with the new one.
    this.server?.setTicketKeys(randomBytes(48));
    this.events.serving(this.certificates(), before);
    this.events.reloaded(next.identities.map(({ title }) => title));
    this.tellExpiry();
  }

  private tellExpiry(): void {
    const now = Date.now();
    for (const { title, notAfter, what } of this.certificates()) {
      const days = milestone(notAfter, now);
      const key = `${title} ${notAfter}`;
      if (days === undefined || this.told.get(key) === days) continue;
      this.told.set(key, days);
      this.events.expiring(what, days, notAfter);
    }
    // Certificates that are gone need not be remembered.
    const kept = new Set(this.certificates().map(({ title, notAfter }) => `${title} ${notAfter}`));
    for (const key of this.told.keys()) if (!kept.has(key)) this.told.delete(key);
  }

  private async state(): Promise<string> {
    return await filesState(filesOf(this.settings, this.environment));
  }
}

/**
 * A text that differs when any of the files does. Links are followed, so the flip of a folder's link (Kubernetes, certbot) is seen,
 * which inotify on the file would miss. Never rejects: a file that is gone is a state too.
 */
async function filesState(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await promises.stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return systemCode(error) ?? String(error);
      }
    }),
  );
  return states.join('\n');
}
