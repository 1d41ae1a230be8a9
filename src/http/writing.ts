/** Routes on which writing has rules of its own: which of the two hold for a request, and what a WebSocket may. */
import type { ClientRequest } from '../policy/addresses.ts';
import type { AuthDecision } from '../policy/auth/auth.ts';
import { decideOrigin, isSafe } from '../policy/origin.ts';
import type { WritingPolicies } from '../policy/policies.ts';
import type { Route } from './route.ts';

/** The rules that hold for a method: those for writing, where they are others. */
export function accessOf(route: Route, method: string): WritingPolicies {
  return route.writing === undefined || isSafe(method) ? route : route.writing;
}

/** What is decided of a WebSocket beside whether it may be opened. */
interface WebSocketCall {
  request: ClientRequest;
  mayWrite: boolean;
}

/**
 * A WebSocket is opened by who may read; whether its client may write as well is asked of the same request.
 *
 * @param request with its proofs
 * @param entry who may read
 */
export function decideWriting(
  call: WebSocketCall,
  route: Route,
  request: ClientRequest,
  entry: AuthDecision | Promise<AuthDecision>,
): AuthDecision | Promise<AuthDecision> {
  if (entry instanceof Promise) return entry.then((late) => decideWriting(call, route, request, late));
  const { writing } = route;
  if (entry.refusal !== undefined || writing === undefined) return entry;
  const rules = { cors: writing.cors, crossSite: route.handler.crossSite, unsafe: route.crossSite };
  call.mayWrite = decideOrigin(request, true, rules) === undefined;
  call.request = writing.auth.withoutProofs(call.request);
  if (!call.mayWrite || writing.auth === route.auth) return entry;
  const decision = writing.auth.decide(request, entry.user);
  const settle = (settled: AuthDecision): AuthDecision => {
    call.mayWrite = settled.refusal === undefined;
    return call.mayWrite && entry.user === undefined ? settled : entry;
  };
  return decision instanceof Promise ? decision.then(settle) : settle(decision);
}
