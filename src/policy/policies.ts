/** Every policy of one gateway, built from its configuration: what its listeners and its routes ask. */
import { isDeepStrictEqual } from 'node:util';
import type { AdminConfig } from '../config/keys/admin.ts';
import type { AuthConfig, CorsConfig } from '../config/keys/policies.ts';
import { override, type RoutePolicies } from '../config/keys/routes.ts';
import type { CommonConfig } from '../config/schema.ts';
import { UNIX_PEER } from '../net/address.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { TrustedProxies } from './addresses.ts';
import type { Auth } from './auth/auth.ts';
import { Logins } from './auth/logins.ts';
import { ConnectionGuard } from './connection-guard.ts';
import { Cors } from './cors.ts';
import { MessageLimits } from './messages.ts';
import { RequestRates } from './request-rates.ts';

/** Rules of a route for those who write, where they are others than for those who read. */
export interface WritingRules {
  /** Undefined: as for reading. */
  readonly auth: AuthConfig | undefined;
  /** Origins whose pages may write; undefined: those that may read. */
  readonly origins: readonly string[] | undefined;
}

/** What requests that write are asked for, and, when they send a message, WebSockets. */
export interface WritingPolicies {
  readonly auth: Auth;
  readonly cors: Cors;
}

/** What a built route has of them. */
export interface BuiltPolicies {
  readonly limits: RoutePolicies['limits'];
  readonly messages: MessageLimits;
  readonly cors: Cors;
  /** Whether other sites may send requests that change something. */
  readonly crossSite: 'allow' | 'refuse';
  readonly auth: Auth;
  /** Undefined: all the others hold for writing, too. */
  readonly writing: WritingPolicies | undefined;
}

export class Policies {
  readonly rates: RequestRates;
  readonly guard: ConnectionGuard;
  readonly proxies: TrustedProxies;
  /** For what no route serves: a page of another origin may read a 404, too. */
  readonly unroutedCors: Cors;
  private readonly logins: Logins;

  /**
   * @param ports those that clients connect to
   * @param before the policies of the configuration before: what they know of addresses, connections and passwords is kept
   */
  constructor(
    private readonly config: CommonConfig,
    tallies: Tallies,
    log: Log,
    ports: () => readonly number[],
    before?: Policies,
  ) {
    const { connections, defaults } = config;
    const unchanged = before !== undefined && isDeepStrictEqual(before.config.connections, connections);
    this.proxies = unchanged ? before.proxies : new TrustedProxies(connections);
    this.rates = unchanged ? before.rates : new RequestRates(connections, this.proxies);
    // One for all: it counts what is open, under whichever configuration that was opened.
    this.guard = before?.guard ?? new ConnectionGuard(connections, tallies, log, ports);
    this.unroutedCors = new Cors(defaults.cors);
    this.logins =
      before?.config.connections.failed_logins === connections.failed_logins
        ? before.logins
        : new Logins(connections.failed_logins, log, tallies.forgeries);
  }

  of(route: RoutePolicies, writing?: WritingRules): BuiltPolicies {
    const auth = this.auth(route.auth);
    return {
      limits: route.limits,
      messages: new MessageLimits(route.limits),
      cors: new Cors(route.cors),
      crossSite: route.cross_site,
      auth,
      writing: writing && {
        auth: writing.auth === undefined ? auth : this.auth(writing.auth),
        cors: new Cors(corsOfWriting(route.cors, writing.origins)),
      },
    };
  }

  /** They are in force from now on. */
  takeOver(): void {
    this.guard.change(this.config.connections);
  }

  /** Of the operator's own pages, with what `[admin]` asks for. */
  ofOperator({ auth: own }: Pick<AdminConfig, 'auth'>): BuiltPolicies {
    const { limits, cors, auth } = this.config.defaults;
    return this.of({
      limits,
      cors: { ...cors, origins: [] },
      cross_site: 'refuse',
      auth: own === undefined ? { ...auth, require: 'none' } : override(auth, own),
    });
  }

  /** Of what says nothing and asks nobody, such as redirects: open to whoever reaches their listener, and to pages of no other origin. */
  ofNobody(): BuiltPolicies {
    return this.ofOperator({ auth: undefined });
  }

  private auth(config: AuthConfig): Auth {
    return this.logins.auth(config, (address) => address === UNIX_PEER || this.proxies.has(address));
  }
}

/** PUT is how a page would publish a body that goes on. */
function corsOfWriting(cors: CorsConfig, origins = cors.origins): CorsConfig {
  return { ...cors, origins, methods: cors.methods.includes('*') ? cors.methods : [...cors.methods, 'PUT'] };
}
