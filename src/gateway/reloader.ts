/** HUP: the configuration is read anew and put in force, or said to be wrong. One at a time, and what comes meanwhile is one more. */

import { ListenError } from '../engine/engine.ts';
import type { Log } from '../ops/log.ts';
import type { Readiness } from '../ops/system/readiness.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Certificates } from '../tls/serving/certificates.ts';
import { TlsError } from '../tls/tls-file.ts';
import type { Config } from './config.ts';

/** What a second look at the configuration has found: it, or every problem of it, a line each. */
export type RereadResult =
  | { readonly ok: true; readonly config: Config; readonly doubts: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

export interface ReloaderParts {
  readonly log: Log;
  readonly tallies: Tallies;
  readonly readiness: Readiness;
  readonly certificates: Pick<Certificates, 'reload'>;
  /** Undefined where there is no file. */
  readonly reread: (() => RereadResult) | undefined;
  /** Puts it in force. Rejects when that cannot be; then everything is as it was. */
  change(config: Config): Promise<void>;
  /** What systemd shows: where the gateway listens. */
  status(): string;
}

export class Reloader {
  private wanted = false;
  private closed = false;
  private underWay: Promise<void> | undefined;

  constructor(private readonly parts: ReloaderParts) {}

  /** Resolves when it is done. Never rejects. */
  request(): Promise<void> {
    this.wanted = true;
    this.underWay ??= this.work().finally(() => {
      this.underWay = undefined;
    });
    return this.underWay;
  }

  /** The gateway serves the configuration that it was started with. */
  loaded(): void {
    const { tallies } = this.parts;
    tallies.lastReload.series().value = 1;
    tallies.lastReloadSuccess.series().value = Math.floor(Date.now() / 1000);
  }

  /** Nothing is reloaded any more. Resolves when what is under way is done. */
  async close(): Promise<void> {
    this.closed = true;
    await this.underWay;
  }

  private async work(): Promise<void> {
    const { readiness, certificates, log, status } = this.parts;
    while (this.wanted && !this.closed) {
      this.wanted = false;
      readiness.reloading();
      await certificates
        .reload()
        .catch((error: unknown) => log.error(`the certificates cannot be reloaded: ${inWords(error)}`));
      const trouble = await this.configuration();
      readiness.ready(trouble === undefined ? status() : `${status()}; the last reload failed: ${trouble}`);
    }
  }

  /** What has gone wrong, if anything has. */
  private async configuration(): Promise<string | undefined> {
    const { log, tallies, reread } = this.parts;
    if (reread === undefined) return undefined;
    const trouble = await this.read(reread).catch(inWords);
    tallies.reloads.add(1, trouble === undefined ? 'ok' : 'failed');
    if (trouble === undefined) this.loaded();
    else {
      tallies.lastReload.series().value = 0;
      log.error(`the configuration is not reloaded; the old one stays in force: ${trouble}`);
    }
    return trouble;
  }

  private async read(reread: () => RereadResult): Promise<string | undefined> {
    const { log, change } = this.parts;
    const found = reread();
    if (!found.ok) {
      for (const problem of found.problems) log.error(problem);
      const count = found.problems.length;
      return count === 1 ? '1 problem' : `${count} problems`;
    }
    for (const doubt of found.doubts) log.warn(doubt);
    await change(found.config);
    return undefined;
  }
}

/** What the system refuses is said in a sentence; anything else is a mistake of ours, and shown whole. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof ListenError || error instanceof TlsError ? error.message : (error.stack ?? error.message);
}
