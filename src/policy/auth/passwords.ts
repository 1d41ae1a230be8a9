/**
 * Checks passwords against bcrypt hashes: one at a time, because one takes a small processor a second; what was right is remembered
 * for a while, so that a page of fifty files costs one check.
 */
import { createHmac, randomBytes } from 'node:crypto';

/** How long a right password is remembered, milliseconds. */
const REMEMBERED = 5 * 60_000;
const MAX_REMEMBERED = 1024;
/** Clients that are remembered of one password. The one that was quiet for longest is forgotten first. */
const MAX_CLIENTS = 64;
/** Checks that may wait for their turn. */
const MAX_WAITING = 16;

/** Whether `password` is the one of `hash`; must let the event loop turn meanwhile. */
export type Compare = (password: string, hash: string) => Promise<boolean>;

interface Known {
  readonly until: number;
  /** Who has sent it: addresses, or names where clients share one. */
  readonly clients: Set<string>;
}

export class Passwords {
  /** Without it the digests in memory are worth nothing. */
  private readonly secret = randomBytes(32);
  /** By digest of hash and password. Oldest first. */
  private readonly known = new Map<string, Known>();
  private readonly underWay = new Map<string, Promise<boolean>>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly compare: Compare = bcryptCompare) {}

  /**
   * True when this very password was right a short while ago; the hash is part of the question, so a changed one is a new one.
   *
   * @param onlyThisClient whether it must have been right from this very client: one that has sent too many wrong ones would else go on
   *   guessing what somebody elsewhere has sent
   */
  remembers(password: string, hash: string, client: string, onlyThisClient: boolean, now: number): boolean {
    const key = this.digest(password, hash);
    const known = this.known.get(key);
    if (known === undefined) return false;
    if (known.until <= now) {
      this.known.delete(key);
      return false;
    }
    if (onlyThisClient) return known.clients.has(client);
    known.clients.delete(client);
    known.clients.add(client);
    if (known.clients.size > MAX_CLIENTS) forgetFirst(known.clients);
    return true;
  }

  /** How many checks there are, running and waiting. */
  get pending(): number {
    return this.underWay.size;
  }

  /** Undefined when too many are waiting. Who asks the same while it is being checked gets the same answer. */
  check(
    password: string,
    hash: string,
    client: string,
    now: () => number,
  ): { readonly right: Promise<boolean>; readonly isNew: boolean } | undefined {
    const key = this.digest(password, hash);
    const same = this.underWay.get(key);
    if (same !== undefined) return { right: same, isNew: false };
    if (this.underWay.size > MAX_WAITING) return undefined;
    const right = this.last.then(() => this.compare(password, hash));
    this.last = right.catch(() => undefined);
    const over = right.then(
      (isRight) => {
        this.underWay.delete(key);
        if (isRight) this.remember(key, client, now());
        return isRight;
      },
      (error: unknown) => {
        this.underWay.delete(key);
        throw error;
      },
    );
    this.underWay.set(key, over);
    return { right: over, isNew: true };
  }

  private remember(key: string, client: string, now: number): void {
    this.known.set(key, { until: now + REMEMBERED, clients: new Set([client]) });
    if (this.known.size > MAX_REMEMBERED) forgetFirst(this.known);
  }

  private digest(password: string, hash: string): string {
    return createHmac('sha256', this.secret).update(hash).update('\0').update(password).digest('base64');
  }
}

function forgetFirst(known: Map<string, Known> | Set<string>): void {
  for (const oldest of known.keys()) {
    known.delete(oldest);
    return;
  }
}

/** Loaded with the first password: most gateways never see one. */
async function bcryptCompare(password: string, hash: string): Promise<boolean> {
  const { compare } = await import('bcryptjs');
  return await compare(password, hash);
}
