/** FastCGI applications such as php-fpm: the responder role, one connection for each request. */

import { HttpError } from '../../http/errors.ts';
import { type Answer, type Call, type Handler, TO_FOLDER } from '../../http/handler.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { Held } from '../../ownership/held.ts';
import { StderrLines } from '../../process/stderr.ts';
import { type RouteEnvironment, requestEnvironment } from '../../programs/environment.ts';
import { pathInfo, routeBase, type ScriptPath } from '../../programs/script-path.ts';
import { Scripts } from '../../programs/scripts.ts';
import { asStartError } from '../../programs/start-error.ts';
import { Connector } from '../../upstream/connecting.ts';
import { ConcurrencyLimit } from '../cgi/concurrency-limit.ts';
import { CgiRun, type ResponderEnd } from '../cgi/run.ts';
import type { Permit } from '../cgi/semaphore.ts';
import { FastcgiRequest, type RequestEnd } from './connection.ts';
import type { FastcgiConfig } from './keys.ts';
import { beginRequest } from './records.ts';

export interface FastcgiDeps {
  /** The route's key. */
  readonly route: string;
  /** Of runnel. */
  readonly version: string;
  readonly log: Log;
  readonly tallies: Pick<Tallies, 'busy'>;
  /** DOCUMENT_ROOT where the route has no root of its own. */
  readonly documentRoot: string | undefined;
}

/** Serves the scripts below `config.root`, or one application for everything. */
export function fastcgiHandler(config: FastcgiConfig, deps: FastcgiDeps): Handler {
  const applications = new FastcgiApplication(config, deps);
  return {
    kind: 'fastcgi',
    methods: undefined,
    takesBody: true,
    crossSite: 'open',
    handle: (call) => applications.handle(call),
    retire: () => undefined,
    close: () => applications.close(),
  };
}

class FastcgiApplication {
  private readonly limit: ConcurrencyLimit;
  private readonly environment: RouteEnvironment;
  private readonly connector: Connector;
  private readonly running = new Set<FastcgiRequest>();
  private readonly scripts: Scripts | undefined;

  constructor(
    private readonly config: FastcgiConfig,
    private readonly deps: FastcgiDeps,
  ) {
    const { route, tallies } = deps;
    const { root, index, max_connections: max, max_waiting: maxWaiting, queue_timeout: timeout } = config;
    this.environment = {
      version: deps.version,
      documentRoot: config.root ?? deps.documentRoot,
      inherited: undefined,
      base: new Map(),
      passEnv: [],
      env: config.env,
    };
    this.connector = new Connector({ remote: config.connect, timeout: config.connect_timeout });
    this.limit = new ConcurrencyLimit({ route, tallies, max, maxWaiting, timeout });
    this.scripts = root === undefined ? undefined : new Scripts(root, route, index);
  }

  async handle(call: Call): Promise<Answer> {
    const script = this.scripts === undefined ? this.application(call) : await this.script(call, this.scripts);
    if (script === undefined) return TO_FOLDER;
    return await this.limit.answer(call, async (permit) => this.run(call, await this.start(call, script, permit)));
  }

  async close(): Promise<void> {
    this.limit.close();
    await Promise.all(
      [...this.running].map((request) => {
        request.abort();
        return request.over;
      }),
    );
  }

  private application(call: Call): ScriptPath {
    const { route } = this.deps;
    return { file: undefined, scriptName: routeBase(route), pathInfo: pathInfo(route, call.rest) };
  }

  /** Undefined: a folder without its slash. */
  private async script(call: Call, scripts: Scripts): Promise<ScriptPath | undefined> {
    const script = await scripts.find(call.rest);
    // Only these: an application that was handed an uploaded picture with a program in it would run that.
    if (script && !this.config.extensions.some((extension) => script.file.endsWith(extension))) {
      throw new HttpError(
        403,
        `the name of the file does not end in ${this.config.extensions.join(' or ')} ("extensions")`,
      );
    }
    return script;
  }

  /** Connects and sends the request. The permit is given back when it is over, or was not sent: what can fail comes before it is. */
  private async start(call: Call, script: ScriptPath, permit: Permit): Promise<FastcgiRequest> {
    const held = new Held(permit, () => permit.release());
    try {
      const facts = {
        id: call.id,
        script,
        bodyLength: call.body?.length ?? 0,
        user: call.user,
        passAuthorization: this.config.pass_authorization,
      };
      const beginning = beginRequest(requestEnvironment(call.request, facts, this.environment));
      const connection = (await this.connector.connect(call.signal)).take();
      if (connection === undefined) throw call.signal.reason;
      const request = new FastcgiRequest(connection, beginning, call.body);
      held.take();
      this.running.add(request);
      void request.over.then(() => {
        this.running.delete(request);
        permit.release();
      });
      return request;
    } catch (error) {
      throw asStartError(error);
    } finally {
      held.giveBack();
    }
  }

  private run(call: Call, request: FastcgiRequest): CgiRun {
    const { config, deps } = this;
    const stderr = new StderrLines(request.stderr, {
      line: (text) => deps.log.warn(text, { route: deps.route, from: 'stderr', id: call.id }),
    });
    return new CgiRun({
      what: `the application at ${config.connect.text}`,
      responder: {
        stdout: request.stdout,
        stderr: request.stderr,
        ended: request.ended.then(endOf),
        over: request.over,
      },
      head: call.request.method === 'HEAD',
      timeout: call.patience ?? config.timeout,
      totalTimeout: call.patience ?? config.total_timeout,
      lastLines: () => stderr.lastLines,
      end: () => request.abort(),
    });
  }
}

function endOf(end: RequestEnd): ResponderEnd {
  if (end.kind === 'broken') return { how: end.reason, cut: true };
  if (end.protocolStatus !== 'complete')
    return { how: end.protocolStatus, cut: true, busy: end.protocolStatus === 'overloaded' };
  return { how: `status ${end.appStatus}`, cut: false };
}
