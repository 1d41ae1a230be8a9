/**
 * TLS on uWebSockets.js: one app for each certificate. Within an app a certificate cannot be replaced (taking a name off a running one ends
 * the process), and whoever hands over a connection knows by its hello which app it is for. So names are never told to an app.
 */
import type { TemplatedApp } from 'uWebSockets.js';
import { closeSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import type { UwsModule } from '../../ops/addons/addon.ts';
import { openUnnamedFileSync } from '../../ops/system/unnamed-file.ts';
import type { ServedIdentity } from '../../tls/serving/contexts.ts';
import type { KnownPeers } from './known-peers.ts';

/**
 * An app is never freed: 40 KiB with an ECDSA key, 44 with RSA (measured, with its routes), so these are 2.8 MiB. A certificate is renewed every two
 * months; who renews every hour is served by Node's TLS after two and a half days, and until a restart.
 */
export const MAX_APPS = 64;

const FULL = `this listener has had ${MAX_APPS} certificates since the start, and uWebSockets.js frees none of them before a restart; so for every further one`;

/** Of TLS 1.2; those of 1.3 cannot be chosen. Forward secrecy and AEAD, as in `tls/serving/suites.ts`; it has no finite fields. */
const SUITES12 = 'ECDHE+AESGCM:ECDHE+CHACHA20';
/** Needs a shared secret that nobody has, so TLS 1.2 is refused. There is no other way to set a least version. */
const NO_SUITE12 = 'ECDHE-PSK-AES128-CBC-SHA';

/** Descriptors, or room for the file, may be there later. Milliseconds. */
const TRY_AGAIN_AFTER = 60_000;

/** Folders that may lie in memory, best first. */
const FOLDERS: readonly string[] = ['/dev/shm', '/run', '/tmp'];
/** statfs(2). */
const TMPFS = 0x01021994;
const RAMFS = 0x858458f6;

export interface SecureAppEvents {
  /** Installs the routes of a new app. */
  route(app: TemplatedApp): KnownPeers;
  /** Connections for this certificate cannot be served by an app: why, in words. Told once for each, and once when there is room for no more. */
  unable(title: string, reason: string): void;
}

/** The apps of one listener. */
export class SecureApps {
  /** By the identity's digest. One of a replaced certificate stays: its connections go on, and it may come back. */
  private readonly apps = new Map<string, KnownPeers>();
  /** When making one has failed, milliseconds. */
  private readonly failures = new Map<string, number>();
  private full = false;

  constructor(
    private readonly uws: UwsModule,
    private readonly events: SecureAppEvents,
    private readonly environment: { readonly [name: string]: string | undefined } = process.env,
  ) {}

  /** The app that serves `identity`, made when it is first asked for; undefined where there can be none. */
  appFor(identity: ServedIdentity): KnownPeers | undefined {
    const { digest, title } = identity;
    const known = this.apps.get(digest);
    if (known !== undefined) return known;
    if (this.apps.size >= MAX_APPS) {
      if (!this.full) this.events.unable(title, FULL);
      this.full = true;
      return undefined;
    }
    const failed = this.failures.get(digest);
    const now = performance.now();
    if (failed !== undefined && now - failed < TRY_AGAIN_AFTER) return undefined;
    const app = this.make(identity);
    if (typeof app === 'string') {
      if (failed === undefined) this.events.unable(title, app);
      this.failures.set(digest, now);
      return undefined;
    }
    this.failures.delete(digest);
    this.apps.set(digest, app);
    return app;
  }

  /** Closes every connection. */
  close(): void {
    for (const { app } of this.apps.values()) app.close();
  }

  /** Or says why not. */
  private make(identity: ServedIdentity): KnownPeers | string {
    const file = this.openInMemory();
    if (file === undefined) return `the key needs a folder in memory, and none of ${this.folders().join(', ')} is one`;
    const content = Buffer.from(identity.chain + String(identity.key.export({ type: 'pkcs8', format: 'pem' })));
    try {
      writeFileSync(file, content);
      // It is read once, now.
      const path = `/proc/self/fd/${file}`;
      const ssl_ciphers = identity.only13 ? NO_SUITE12 : SUITES12;
      return this.events.route(this.uws.SSLApp({ key_file_name: path, cert_file_name: path, ssl_ciphers }));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      wipe(file, content);
      closeSync(file);
    }
  }

  /** A file without a name that is on no disk; undefined where there is no place for one. */
  private openInMemory(): number | undefined {
    for (const folder of this.folders()) {
      try {
        const { type } = statfsSync(folder);
        if (type === TMPFS || type === RAMFS) return openUnnamedFileSync(folder);
      } catch {
        // Not there, not for this user, or full: the next one.
      }
    }
    return undefined;
  }

  private folders(): readonly string[] {
    const own = [this.environment['RUNTIME_DIRECTORY'], this.environment['XDG_RUNTIME_DIR']];
    const [first = '/dev/shm', ...others] = FOLDERS;
    return [first, ...own.filter((folder) => folder !== undefined), ...others];
  }
}

function wipe(file: number, content: Buffer): void {
  content.fill(0);
  try {
    writeSync(file, content, 0, content.length, 0);
  } catch {
    // There was no room for it, so it is not there.
  }
}
