/** A `Call` without a server: what the pipeline would hand to a handler. */
import type { HeaderList } from '../../src/engine/engine.ts';
import { HttpError } from '../../src/http/errors.ts';
import type { Body, Call } from '../../src/http/handler.ts';
import {
  bytesOf,
  type CanonicalPath,
  canonicalPath,
  NOTHING_BELOW,
  pathBelow,
} from '../../src/routing/canonical-path.ts';
import { routeKeyOf } from '../../src/routing/route-key.ts';

export interface CallOptions {
  readonly method?: string;
  /** The path as sent. */
  readonly path?: string;
  /** The route's key; what the path has beyond it is `rest`. */
  readonly route?: string;
  readonly query?: string;
  readonly headers?: HeaderList;
  readonly body?: Body;
}

export interface FakeCall extends Call {
  readonly notes: Map<string, string | number>;
  /** The client leaves. */
  abort(): void;
}

/** A path that has a canonical form. */
export function pathOf(sent: string): CanonicalPath {
  const path = canonicalPath(bytesOf(sent));
  if (path === undefined) throw new RangeError(`${sent} has no canonical form`);
  return path;
}

export function fakeCall(options: CallOptions = {}): FakeCall {
  const { path = '/', route = '/' } = options;
  const [canonical, { path: base, prefix }] = [pathOf(path), routeKeyOf(route)];
  const notes = new Map<string, string | number>();
  const aborting = new AbortController();
  return {
    id: 'test-id',
    request: {
      method: options.method ?? 'GET',
      path,
      query: options.query,
      version: '1.1',
      headers: options.headers ?? [],
      remoteAddress: '192.0.2.7',
      remotePort: 50_000,
      listener: { name: 'test', secure: false, port: 8080 },
    },
    handshake: undefined,
    user: undefined,
    body: options.body,
    path: canonical,
    rest: prefix ? pathBelow(canonical, base) : NOTHING_BELOW,
    host: 'board.test',
    redirects: 0,
    signal: aborting.signal,
    endless: () => undefined,
    note: (key, value) => notes.set(key, value),
    notes,
    abort() {
      aborting.abort(new HttpError(499, 'the client left'));
    },
  };
}
