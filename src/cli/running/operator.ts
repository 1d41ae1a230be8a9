/** The gateway's side of `runnel reload`, `runnel stop` and `runnel status`: the control socket of the gateway that this process runs. */

import { ownFolders } from '../../gateway/control/folders.ts';
import { type ControlServer, openControl } from '../../gateway/control/server.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { Log } from '../../ops/log.ts';
import { VERSION } from '../../ops/version.ts';
import { Deferred } from '../../ownership/deferred.ts';
import { EXIT } from '../verb.ts';

const REASON = 'the gateway is stopping (runnel stop)';

export class Operator {
  /** How long what is under way may take, as the first `runnel stop` says, milliseconds. */
  within: number | undefined;
  private readonly wanted = new Deferred<{ readonly word: string; readonly reason: string; readonly code: number }>();
  private stopping = false;
  private closed = false;
  private server: ControlServer | undefined;
  private readonly started = new Date().toISOString();

  /** @param config The absolute path of the configuration. */
  constructor(
    private readonly config: string,
    private readonly log: Log,
  ) {}

  /** Resolves when somebody has said `runnel stop`. */
  get stopWanted(): Promise<{ readonly word: string; readonly reason: string; readonly code: number }> {
    return this.wanted.promise;
  }

  /** From now on they find it. Where no socket can be had the log says so, and nothing else changes. */
  control(gateway: Gateway): void {
    const uid = process.geteuid?.() ?? 0;
    const parts = {
      identity: () => ({ pid: process.pid, version: VERSION, config: this.config, started: this.started, user: uid }),
      reload: () => gateway.reload(),
      status: () => gateway.operator.status(),
      stop: (within: number | undefined) => this.stop(gateway, within),
      remaining: () => gateway.remaining(),
    };
    openControl(ownFolders({ uid, env: process.env }), parts).then(
      (server) => {
        if (this.closed) server.close();
        else this.server = server;
      },
      (error: Error) =>
        this.log.info(`"runnel reload" and "runnel stop" cannot find this gateway, signals can: ${error.message}`),
    );
  }

  /** The gateway stops, whoever has said so. */
  stops(): void {
    this.stopping = true;
  }

  close(): void {
    this.closed = true;
    this.server?.close();
  }

  private stop(gateway: Gateway, within: number | undefined): void {
    if (this.stopping) {
      if (within !== undefined) void gateway.stop(REASON, within);
      return;
    }
    this.stopping = true;
    this.within = within;
    this.wanted.resolve({ word: 'runnel stop', reason: REASON, code: EXIT.ok });
  }
}
