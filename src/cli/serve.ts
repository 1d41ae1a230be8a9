/** `runnel serve`: runs the gateway that a configuration describes, until a signal ends it. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { isatty } from 'node:tty';
import type { SyslogTarget } from '../config/keys/log.ts';
import type { Surroundings } from '../config/load.ts';
import { formatProblem } from '../config/reading/problems.ts';
import { ListenError, type Listening } from '../engine/engine.ts';
import type { Config } from '../gateway/config.ts';
import { loadConfig } from '../gateway/config.ts';
import { type GatewayParts, startGateway } from '../gateway/gateway.ts';
import type { RereadResult } from '../gateway/reloader.ts';
import { RouteError } from '../http/errors.ts';
import { openAssets } from '../ops/assets.ts';
import { Log, type LogOptions } from '../ops/log.ts';
import { complain } from '../ops/logging/journal.ts';
import { VERSION } from '../ops/version.ts';
import { visible } from '../ops/visible.ts';
import { findFileOwner } from '../process/confinement/accounts.ts';
import { planConfinement, readSystem } from '../process/confinement/confine.ts';
import { TlsError } from '../tls/tls-file.ts';
import { SERVE_INSTEAD } from './running/habits.ts';
import { Operator } from './running/operator.ts';
import { type CommandLine, EXIT, type Verb } from './verb.ts';

/** Where a configuration is looked for when no file is named. */
export const USUAL_FILES = ['runnel.toml', '/etc/runnel/runnel.toml'] as const;

export const configFlag = {
  short: 'c',
  value: 'FILE',
  doc: `the configuration (default: ${USUAL_FILES.join(', then ')})`,
} as const;

export const serve: Verb = {
  name: 'serve',
  usage: 'runnel serve [-c FILE]',
  brief: 'run the gateway (the default command)',
  doc: `Runs the gateway that the configuration describes.

Signals:
  INT (Ctrl-C), TERM  stop: finish what is under way, then exit; a second one stops at once
  HUP                 reload the configuration and the certificates
  USR1                open the files of the log again`,
  flags: { config: configFlag },
  instead: SERVE_INSTEAD,
  words: 'none',
  async run(line) {
    const file = configFile(line);
    const config = file === undefined ? undefined : readConfig(file);
    if (file === undefined || config === undefined) return EXIT.config;
    return await serveUntilSignal(config, { reread: () => reread(file), file, controlled: resolve(file) });
  },
};

/** The file that the command line means. Undefined if there is none; that is then printed. */
export function configFile(line: CommandLine): string | undefined {
  const file = line.flags['config'] ?? USUAL_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined)
    process.stderr.write(
      `no configuration found: neither ${USUAL_FILES.join(' nor ')} exists. Name the file with -c FILE, or start without one: runnel run -- vmstat -n 1\n"runnel help" lists the commands.\n`,
    );
  return file;
}

/** The configuration. Undefined if it has problems; they are then printed. */
export function readConfig(file: string): Config | undefined {
  const read = reread(file);
  if (read.ok) {
    for (const doubt of read.doubts) complain(`warning: ${visible(doubt)}\n`, 'warn');
    return read.config;
  }
  for (const problem of read.problems) complain(`${visible(problem)}\n`, 'error');
  complain(`${problemCount(read.problems)}: the gateway does not start\n`, 'error');
  return undefined;
}

/** "2 problems found". */
export function problemCount({ length }: readonly string[]): string {
  return `${length} problem${length === 1 ? '' : 's'} found`;
}

/** What the file says now, on this machine, or in `surroundings` as another user sees them. */
export function reread(file: string, surroundings: Surroundings = {}, system = readSystem()): RereadResult {
  const result = loadConfig(file, {
    ...surroundings,
    objections(confinement) {
      const plan = planConfinement(confinement, system);
      if ('problems' in plan) return plan.problems;
      const message = plan.capabilities.length === 0 ? undefined : system.attempt?.(plan.wrapper);
      return message === undefined ? [] : [{ key: [confinement.user === undefined ? 'group' : 'user'], message }];
    },
    socketObjections(names) {
      const found = findFileOwner(names, system);
      return 'problems' in found ? found.problems : [];
    },
  });
  return result.ok
    ? { ok: true, config: result.config, doubts: result.doubts.map(formatProblem) }
    : { ok: false, problems: result.problems.map(formatProblem) };
}

export interface ServeParts extends Pick<GatewayParts, 'wrap' | 'reread' | 'file' | 'extra' | 'programOver'> {
  /** Where not the log of the configuration is meant. */
  readonly log?: Log;
  /** The absolute path of the configuration by which `reload`, `stop` and `status` find it. Left out: they do not. */
  readonly controlled?: string;
  /** It cannot listen, for a reason with this code of the system: tells, and returns the exit code. Left out: as `serve` does. */
  failed?(message: string, code: string): number | Promise<number>;
  /** It serves: tells people what they have to know. */
  started?(listening: readonly Listening[], log: Log): void | Promise<void>;
  /** It is done without a signal: why it stops, and its exit code then. */
  readonly done?: Promise<{ readonly reason: string; readonly code: number }>;
}

/** Runs a gateway until TERM or INT, or until it is done. Resolves with the exit code. */
export async function serveUntilSignal(config: Config, parts: ServeParts): Promise<number> {
  // Not by process.stdout, which would change how the output behaves for everybody who shares it.
  const terminal = isatty(1);
  // Under nohup, whose output goes elsewhere, it is to live on.
  const hadTerminal = terminal && hasTerminal();
  const { log = await usualLog(config, terminal), controlled, failed, started, done, ...gatewayParts } = parts;
  if (log === undefined) return EXIT.cannotCreate;
  const signals = new Signals();
  const operator = controlled === undefined ? undefined : new Operator(controlled, log);
  try {
    const starting = startGateway(config, { assets: openAssets(), log, version: VERSION, ...gatewayParts });
    // From the beginning: without anybody to hear it, HUP would end the process.
    process.on('SIGHUP', () => {
      if (hadTerminal && !hasTerminal()) process.kill(process.pid, 'SIGTERM');
      else void starting.then((gateway) => gateway.reload(), startFailed);
    });
    process.on('SIGUSR1', () => log.reopen());
    const gateway = await starting;
    // An error that nobody caught is a mistake of ours: it is logged whole, and the other connections go on.
    process.on('uncaughtException', (error) => log.error('internal error', { error: error.stack ?? error.message }));
    process.on('unhandledRejection', (error) =>
      log.error('internal error', { error: error instanceof Error ? (error.stack ?? '') : String(error) }),
    );
    await started?.(gateway.listening(), log);
    operator?.control(gateway);
    const signal = signals
      .next()
      .then((name) => ({ word: name, reason: `the gateway is stopping (${name})`, code: EXIT.ok }));
    const end = await Promise.race([
      signal,
      done?.then((how) => ({ word: how.reason, ...how })) ?? signal,
      operator?.stopWanted ?? signal,
    ]);
    operator?.stops();
    log.info(`${end.word}: stopping`);
    const stopped = gateway.stop(end.reason, operator?.within);
    void signals.next().then(() => gateway.stop('at once'));
    await stopped;
    log.info('stopped');
    return end.code;
  } catch (error) {
    if (error instanceof TlsError) {
      // It was in order when the configuration was checked a moment ago.
      log.error(error.message);
      return EXIT.config;
    }
    if (error instanceof RouteError) {
      log.error(error.message);
      return EXIT.cannotCreate;
    }
    if (!(error instanceof ListenError)) throw error;
    if (failed !== undefined) {
      await log.flush();
      return await failed(error.message, error.code);
    }
    const { listenAdvice } = await import('./running/listen-advice.ts');
    const advice = listenAdvice(config, error);
    log.error(advice === undefined ? error.message : `${error.message}; ${advice}`);
    return error.code === 'EACCES' || error.code === 'EPERM' ? EXIT.cannotCreate : EXIT.system;
  } finally {
    operator?.close();
    signals.close();
    await log.flush();
  }
}

/** The log that the configuration asks for. Undefined where a file of it cannot be opened; that is then told. */
async function usualLog({ log }: Config, terminal: boolean): Promise<Log | undefined> {
  const { format, level, file, requests } = log;
  const options: LogOptions = {
    format:
      format === 'auto' ? (terminal || (log.syslog !== undefined && file === undefined) ? 'plain' : 'json') : format,
    level,
    colour: terminal && file === undefined && process.env['NO_COLOR'] === undefined,
    descriptor: 1,
    file,
    syslog: log.syslog && (await syslogOf(log.syslog)),
    requests:
      requests.enabled && requests.file !== undefined ? { file: requests.file, format: requests.format } : undefined,
  };
  try {
    return new Log(options);
  } catch (error) {
    // It was in order when the configuration was checked a moment ago.
    complain(`the log cannot be opened: ${visible(error instanceof Error ? error.message : String(error))}\n`, 'error');
    return undefined;
  }
}

async function syslogOf(target: SyslogTarget): Promise<LogOptions['syslog']> {
  // Loaded only where there is one.
  const { SyslogOutput } = await import('../ops/logging/syslog.ts');
  return { name: target.text, open: (events) => new SyslogOutput(target, events) };
}

/** Whether there is a terminal whose closing would send HUP, too, and mean that nobody is there any more. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Whoever awaits the start tells. */
function startFailed(): void {}

/** TERM and INT, one after the other. */
class Signals {
  private readonly arrived: NodeJS.Signals[] = [];
  private waiting: ((signal: NodeJS.Signals) => void) | undefined;
  private readonly listener = (signal: NodeJS.Signals): void => {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting === undefined) this.arrived.push(signal);
    else waiting(signal);
  };

  constructor() {
    process.on('SIGTERM', this.listener);
    process.on('SIGINT', this.listener);
  }

  next(): Promise<NodeJS.Signals> {
    const signal = this.arrived.shift();
    if (signal !== undefined) return Promise.resolve(signal);
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  close(): void {
    process.off('SIGTERM', this.listener);
    process.off('SIGINT', this.listener);
  }
}
