/** The request that a stream's program is started for: a client's own, or one that stands for all who share it. */
import type { Request } from '../../../engine/engine.ts';
import type { User } from '../../../policy/auth/auth.ts';
import { NOTHING_BELOW, type PathBelow } from '../../../routing/canonical-path.ts';
import { routeKeyOf } from '../../../routing/route-key.ts';

/** For whom a program is started: a call, or what stands for all the clients of a shared stream. */
export interface StreamRequest {
  readonly id: string;
  readonly request: Request;
  readonly rest: PathBelow;
  readonly user?: User | undefined;
  /** Bytes that it will find on stdin, where that is known. */
  readonly bodyLength?: number;
  readonly passAuthorization?: boolean;
}

/** The request of no client: what the program of a shared stream is told. */
export function sharedRequest(key: string, query: string): StreamRequest {
  const { path } = routeKeyOf(key);
  const listener = { name: '', secure: false, port: undefined };
  const request: Request = {
    method: 'GET',
    path,
    query: query === '' ? undefined : query,
    version: '1.1',
    headers: [],
    remoteAddress: '',
    remotePort: undefined,
    listener,
  };
  return { id: key, request, rest: NOTHING_BELOW };
}
