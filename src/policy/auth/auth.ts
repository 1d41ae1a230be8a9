/**
 * Who may use a route: by a name and a password (Basic, RFC 7617), a bearer token (RFC 6750), a client certificate, a trusted proxy's word, any or all of
 * them. Decided at once where it can be; only a password that was not seen lately takes a while.
 */
import { createHash } from 'node:crypto';
import type { AuthConfig } from '../../config/keys/policies.ts';
import { headerValue, type Request } from '../../engine/engine.ts';
import { addressKey, type ClientRequest } from '../addresses.ts';
import { type Rates, retryAfter } from '../rate.ts';
import type { Refusal } from '../refusal.ts';
import type { CredentialFile } from './credential-file.ts';
import type { Passwords } from './passwords.ts';
import { proxyUser, withoutProxyUser } from './proxy-user.ts';
import { queryToken, tokenParameter, withoutToken } from './query-token.ts';

/** Somebody who has proved who they are; for programs REMOTE_USER and AUTH_TYPE. */
export interface User {
  readonly name: string;
  readonly type: 'Basic' | 'Bearer' | 'ClientCert' | 'Proxy';
}

/** A yes, with a user where there is one, or a no. */
export type AuthDecision =
  | { readonly user: User | undefined; readonly refusal?: undefined }
  | { readonly refusal: Refusal };

export interface AuthParts {
  readonly passwords: Passwords;
  /** Wrong passwords and tokens, by address. */
  readonly failures: Rates;
  readonly basic: CredentialFile | undefined;
  readonly tokens: CredentialFile | undefined;
  readonly proxies: CredentialFile | undefined;
  /** A request names a user and may not: it is served as if it had not. */
  forged(reason: 'proxy' | 'secret', remoteAddress: string): void;
  /** Milliseconds. */
  now(): number;
  /** Whether this may be any number of clients: a proxy that does not name them, or whoever may open the Unix socket. */
  isShared(address: string): boolean;
}

/** Nobody's salt and hash. */
const NOBODYS = 'CwTycUXWue0Thq9StjUM0uJ8.KRwGhG8SGbd0Xa9nMNQ1Hvt4fv5G';

/** What one kind of proof has come to. "none": it was not offered. */
type Proof = User | 'none' | 'wrong' | Refusal;

type Kind = 'basic' | 'tokens' | 'certificate' | 'proxy';

export class Auth {
  private readonly kinds: readonly Kind[];
  private readonly proxyField: string | undefined;

  constructor(
    private readonly config: AuthConfig,
    private readonly parts: AuthParts,
  ) {
    const { basic, tokens, client_certificate: certificate } = config;
    this.proxyField = config.proxy_user?.toLowerCase();
    this.kinds = [
      ...(this.proxyField === undefined ? [] : (['proxy'] as const)),
      ...(certificate ? (['certificate'] as const) : []),
      ...(tokens === undefined ? [] : (['tokens'] as const)),
      ...(basic === undefined ? [] : (['basic'] as const)),
    ];
  }

  /** Whether anything has to be proved. */
  get on(): boolean {
    return this.config.require !== 'none' && this.kinds.length > 0;
  }

  /** The request without the token in its query and without a proxy's word, which nobody behind this must see. */
  withoutProofs(request: ClientRequest): ClientRequest {
    if (!this.on) return request;
    const hasToken = this.config.query_token && tokenParameter(request.query) !== undefined;
    const query = hasToken ? withoutToken(request.query ?? '') : request.query;
    const headers =
      this.proxyField === undefined ? request.headers : withoutProxyUser(request.headers, this.proxyField);
    return query === request.query && headers === request.headers ? request : { ...request, query, headers };
  }

  /**
   * @param request with its proofs
   * @param known who has been let in by the same request under other rules: a proof of that kind is no wrong one where it is not enough here
   */
  decide(request: ClientRequest, known?: User): AuthDecision | Promise<AuthDecision> {
    if (!this.on) return { user: undefined };
    const now = this.parts.now();
    const proofs: (Proof | Promise<Proof>)[] = [];
    for (const kind of this.kinds) {
      const proof = this.proof(kind, request, now, known);
      // With "any", the first that holds is enough, and a password need not be looked at.
      if (this.config.require === 'any' && isUser(proof)) return { user: proof };
      proofs.push(proof);
    }
    if (proofs.some((proof) => proof instanceof Promise))
      return Promise.all(proofs).then((settled) => this.verdict(settled));
    return this.verdict(proofs.filter((proof): proof is Proof => !(proof instanceof Promise)));
  }

  private proof(kind: Kind, request: ClientRequest, now: number, known: User | undefined): Proof | Promise<Proof> {
    if (kind === 'proxy') return this.proxysWord(request, now);
    if (kind === 'certificate') {
      const name = certificateUser(request);
      return name === undefined ? 'none' : { name, type: 'ClientCert' };
    }
    return kind === 'tokens'
      ? this.token(request, now, known?.type === 'Bearer')
      : this.password(request, now, known?.type === 'Basic');
  }

  private verdict(proofs: readonly Proof[]): AuthDecision {
    const users = proofs.filter(isUser);
    const enough = this.config.require === 'all' ? users.length === proofs.length : users.length > 0;
    // The one whose name says most: a person's before a machine's.
    if (enough) return { user: users.find(({ type }) => type === 'Basic') ?? users[0] };
    const refusal = proofs.find((proof): proof is Refusal => typeof proof === 'object' && 'status' in proof);
    if (refusal !== undefined) return { refusal };
    const wrong = proofs.includes('wrong');
    // Nothing that a person could be asked for.
    const nothingToAsk = this.kinds.every((kind) => kind === 'certificate' || kind === 'proxy');
    return {
      refusal: {
        status: nothingToAsk ? 403 : 401,
        because: wrong ? 'a wrong password or token' : 'no password or token',
        policy: 'auth',
        headers: this.challenges(wrong),
      },
    };
  }

  private challenges(wrong: boolean): (readonly [string, string])[] {
    const { realm } = this.config;
    const challenges: (readonly [string, string])[] = [];
    if (this.kinds.includes('basic')) challenges.push(['www-authenticate', `Basic realm="${realm}", charset="UTF-8"`]);
    if (this.kinds.includes('tokens'))
      challenges.push(['www-authenticate', `Bearer realm="${realm}"${wrong ? ', error="invalid_token"' : ''}`]);
    return challenges;
  }

  private proxysWord(request: ClientRequest, now: number): Proof {
    const { proxies, failures } = this.parts;
    const tooMany = this.tooMany(request, '', now);
    const said = proxyUser(request, this.proxyField ?? '', () => proxies?.current(now) ?? new Map());
    if (typeof said === 'object') return { name: said.name, type: 'Proxy' };
    if (said === 'none') return 'none';
    this.parts.forged(said === 'wrong' ? 'secret' : 'proxy', request.remoteAddress);
    if (said === 'forged') return 'none';
    if (tooMany !== undefined) return tooMany;
    failures.spend(this.failureKey(request, ''), now);
    return 'wrong';
  }

  private token(request: Request, now: number, isKnown: boolean): Proof {
    const given = bearer(request) ?? (this.config.query_token ? queryToken(request.query) : undefined);
    if (given === undefined) return 'none';
    const tooMany = this.tooMany(request, '', now);
    // Looked up and not compared with each. How long that takes depends on the digest of what was given, and nobody can choose digests
    // that come nearer to one in the file.
    const digest = createHash('sha256').update(given, 'latin1').digest('hex');
    const name = this.parts.tokens?.current(now).get(digest);
    if (name !== undefined) return { name, type: 'Bearer' };
    if (isKnown) return 'wrong';
    if (tooMany !== undefined) return tooMany;
    this.parts.failures.spend(this.failureKey(request, ''), now);
    return 'wrong';
  }

  private password(request: Request, now: number, isKnown: boolean): Proof | Promise<Proof> {
    const given = basic(request);
    if (given === undefined) return 'none';
    const { passwords, failures } = this.parts;
    const users = this.parts.basic?.current(now) ?? new Map<string, string>();
    const known = users.get(given.name);
    if (isKnown && known === undefined) return 'wrong';
    const hash = known ?? nobodysHash(users);
    const user: User = { name: given.name, type: 'Basic' };
    const key = this.failureKey(request, given.name);
    const tooMany = this.tooMany(request, given.name, now);
    if (known !== undefined && passwords.remembers(given.password, hash, key, tooMany !== undefined, now)) return user;
    if (tooMany !== undefined) return tooMany;
    const check = passwords.check(given.password, hash, key, this.parts.now);
    if (check === undefined)
      return {
        status: 503,
        because: 'too many passwords are being checked',
        policy: 'logins',
        headers: [['retry-after', '2']],
      };
    // Paid in advance, so that many attempts at once are as many; given back to whoever was right.
    const counts = check.isNew && !isKnown;
    if (counts) failures.spend(key, now);
    return check.right.then((right) => {
      if (!right || known === undefined) return 'wrong';
      if (counts) failures.giveBack(key);
      return user;
    });
  }

  /**
   * Under what name a failure counts. Where clients share an address one would lock out all the others: there each user's name counts for
   * itself ("" for tokens), also one that nobody has, because the answer must not tell.
   */
  private failureKey({ remoteAddress }: Request, user: string): string {
    const key = addressKey(remoteAddress);
    if (!this.parts.isShared(remoteAddress)) return key;
    // Short, whatever the client has sent.
    return `${key} ${createHash('sha256').update(user).digest('base64')}`;
  }

  private tooMany(request: Request, user: string, now: number): Refusal | undefined {
    const wait = this.parts.failures.wait(this.failureKey(request, user), now);
    if (wait === 0) return undefined;
    return {
      status: 429,
      because: 'too many wrong passwords or tokens from this address (connections.failed_logins)',
      policy: 'logins',
      headers: [['retry-after', retryAfter(wait)]],
    };
  }
}

/** An unknown name must take as long as a wrong password, or names could be found out: so it costs what the first one costs. */
function nobodysHash(users: ReadonlyMap<string, string>): string {
  for (const hash of users.values()) return `$2b$${hash.slice(4, 6)}$${NOBODYS}`;
  return `$2b$10$${NOBODYS}`;
}

function isUser(proof: Proof | Promise<Proof>): proof is User {
  return typeof proof === 'object' && 'type' in proof;
}

/** The common name of a certificate that the listener has verified, else its whole subject; undefined without one. */
function certificateUser({ peerCertificate: certificate }: Request): string | undefined {
  if (certificate?.verified !== true) return undefined;
  return certificate.commonName ?? certificate.subject;
}

/** RFC 7617 section 2, in UTF-8. */
function basic(request: Request): { readonly name: string; readonly password: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization(request) ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** RFC 6750 section 2.1. */
function bearer(request: Request): string | undefined {
  return /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(authorization(request) ?? '')?.[1];
}

/** Two of them are none: whoever stands before us may have looked at the other one. */
function authorization(request: Request): string | undefined {
  const all = request.headers.filter(([name]) => name === 'authorization');
  return all.length === 1 ? headerValue(all, 'authorization') : undefined;
}
