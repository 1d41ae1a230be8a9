/** HUP: the configuration is read anew and put in force, or said to be wrong. One at a time, and what comes meanwhile is one more. */

import { ListenError } from '../engine/engine.ts';
import { RouteError } from '../http/errors.ts';
import type { Log } from '../ops/log.ts';
import type { ReloadStatus } from '../ops/status.ts';
import type { Readiness } from '../ops/system/readiness.ts';
import type { Tallies } from '../ops/tallies.ts';
import type { Certificates } from '../tls/serving/certificates.ts';
import { TlsError } from '../tls/tls-file.ts';
import type { Config } from './config.ts';
import type { ReloadChanges, ReloadOutcome } from './control/protocol.ts';

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
  change(config: Config): Promise<ReloadChanges>;
  /** What systemd shows. */
  status(): string;
}

export class Reloader {
  private wanted = false;
  private closed = false;
  private underWay: Promise<ReloadOutcome> | undefined;
  /** What came of the last one. */
  result: ReloadStatus | undefined;

  constructor(private readonly parts: ReloaderParts) {}

  /** Resolves when it is done, with what has come of the last look at the file. Never rejects. */
  request(): Promise<ReloadOutcome> {
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

  private async work(): Promise<ReloadOutcome> {
    const { readiness, certificates, log, status } = this.parts;
    let outcome = failed('the gateway is stopping');
    while (this.wanted && !this.closed) {
      this.wanted = false;
      readiness.reloading();
      await certificates
        .reload()
        .catch((error: unknown) => log.error(`the certificates cannot be reloaded: ${inWords(error)}`));
      outcome = await this.configuration();
      readiness.ready(status());
    }
    return outcome;
  }

  private async configuration(): Promise<ReloadOutcome> {
    const { log, tallies, reread } = this.parts;
    if (reread === undefined) return { ok: true, changes: NO_CHANGES, doubts: [] };
    const outcome = await this.read(reread);
    tallies.reloads.add(1, outcome.ok ? 'ok' : 'failed');
    this.result = { time: Date.now(), ok: outcome.ok, why: outcome.ok ? undefined : outcome.summary };
    if (outcome.ok) this.loaded();
    else {
      tallies.lastReload.series().value = 0;
      log.error(`the configuration is not reloaded; the old one stays in force: ${outcome.summary}`);
    }
    return outcome;
  }

  private async read(reread: () => RereadResult): Promise<ReloadOutcome> {
    const { log, change } = this.parts;
    try {
      const found = reread();
      if (!found.ok) {
        for (const problem of found.problems) log.error(problem);
        const count = found.problems.length;
        return { ok: false, summary: count === 1 ? '1 problem' : `${count} problems`, problems: found.problems };
      }
      for (const doubt of found.doubts) log.warn(doubt);
      return { ok: true, changes: await change(found.config), doubts: found.doubts };
    } catch (error) {
      return failed(inWords(error));
    }
  }
}

const NO_CHANGES: ReloadChanges = { added: [], changed: [], removed: [], kept: 0, restart: [] };

function failed(because: string): ReloadOutcome {
  return { ok: false, summary: because, problems: [because] };
}

/** What the system refuses is said in a sentence; anything else is a mistake of ours, and shown whole. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof ListenError || error instanceof TlsError || error instanceof RouteError
    ? error.message
    : (error.stack ?? error.message);
}
