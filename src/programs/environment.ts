/**
 * The environment of every program that runnel starts, CGI and streams alike, built from empty: nothing of the gateway's
 * own environment gets in unless it is named.
 */
import type { Request } from '../engine/engine.ts';
import { DEFAULT_PATH } from '../ops/system/search-path.ts';
import { metaVariables, type RequestFacts, type ServerFacts } from './meta-variables.ts';

/** What a program gets of the gateway's environment unasked. */
const ALWAYS_PASSED = ['PATH', 'LANG', 'LC_ALL', 'TZ'] as const;

/**
 * What tells the program who asks for what. It decides on these (how much to read, whom to obey), so a constant from the
 * configuration must not stand in for what this very request said.
 */
const OF_THE_REQUEST: ReadonlySet<string> = new Set([
  'AUTH_TYPE',
  'CONTENT_LENGTH',
  'CONTENT_TYPE',
  'GATEWAY_INTERFACE',
  'PATH_INFO',
  'PATH_TRANSLATED',
  'QUERY_STRING',
  'REMOTE_ADDR',
  'REMOTE_HOST',
  'REMOTE_PORT',
  'REMOTE_USER',
  'REQUEST_METHOD',
  'REQUEST_URI',
  'SERVER_PROTOCOL',
  'UNIQUE_ID',
]);

/** What the programs of one route are told, whoever asks. */
export interface RouteEnvironment extends ServerFacts {
  /** The gateway's own environment; undefined for an application that somebody else starts: it gets nothing of it, not even PATH. */
  readonly inherited: Readonly<NodeJS.ProcessEnv> | undefined;
  /** What the way in which it is started makes true, such as the HOME of its user. Everything else replaces it. */
  readonly base: ReadonlyMap<string, string>;
  /** Names that the route lets through from the gateway's own. The only way for NODE_*, LD_* and the like. */
  readonly passEnv: readonly string[];
  /** What the route sets. */
  readonly env: ReadonlyMap<string, string>;
}

/** The whole environment of a program for one request, of CGI, FastCGI and streams alike. */
export function requestEnvironment(
  request: Request,
  facts: RequestFacts,
  route: RouteEnvironment,
): ReadonlyMap<string, string> {
  return buildEnvironment(route, metaVariables(request, facts, route));
}

/**
 * Later wins: the base, then inherited names, then the request's variables, then the route's `env`; except that `env` replaces no
 * variable of `OF_THE_REQUEST` and no `HTTP_*` that the request has. So `env` can say what the gateway cannot know
 * (`SERVER_NAME` or `HTTPS` behind another proxy, `DOCUMENT_ROOT`), and cannot make a stranger into `REMOTE_USER = "admin"`
 * where authentication named somebody else. Throws a `RangeError` for a name or value that no environment can hold.
 */
export function buildEnvironment(
  { inherited, base, passEnv, env }: Omit<RouteEnvironment, keyof ServerFacts>,
  variables: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const result = new Map<string, string>();
  if (inherited !== undefined) put(result, 'PATH', DEFAULT_PATH);
  for (const [name, value] of base) put(result, name, value);
  if (inherited !== undefined) {
    for (const name of ALWAYS_PASSED) inherit(result, name, inherited);
    for (const name of passEnv) inherit(result, name, inherited);
  }
  for (const [name, value] of variables) put(result, name, value);
  for (const [name, value] of env) {
    if (variables.has(name) && (OF_THE_REQUEST.has(name) || name.startsWith('HTTP_'))) continue;
    put(result, name, value);
  }
  return result;
}

function inherit(result: Map<string, string>, name: string, inherited: Readonly<NodeJS.ProcessEnv>): void {
  const value = inherited[name];
  if (value !== undefined) put(result, name, value);
}

function put(result: Map<string, string>, name: string, value: string): void {
  if (name === '' || name.includes('=') || name.includes('\0'))
    throw new RangeError(`${JSON.stringify(name)} cannot be the name of a variable`);
  // Passed on, it would end the value early, and what follows could pass for a variable of its own. The value is not shown: it may be secret.
  if (value.includes('\0')) throw new RangeError(`the value of the variable ${name} has a NUL in it`);
  result.set(name, value);
}
