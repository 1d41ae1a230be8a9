/** Routes that were found lately, by what was asked for as it was sent: the same few paths are asked for again and again. */
import type { Match } from './router.ts';

/** Targets that are remembered. All are forgotten when there are more. */
const MAX_TARGETS = 256;
/** Longer ones are not: characters. */
const MAX_LENGTH = 128;

interface RecentMatch<T> {
  readonly host: string;
  readonly match: Match<T>;
}

/** Of one router, which never changes. */
export class RecentMatches<T> {
  private readonly known = new Map<string, RecentMatch<T>>();

  /** @param sent the path as the client spelled it */
  of(host: string, sent: string): Match<T> | undefined {
    const recent = this.known.get(sent);
    return recent !== undefined && recent.host === host ? recent.match : undefined;
  }

  remember(host: string, sent: string, match: Match<T>): void {
    if (sent.length > MAX_LENGTH || host.length > MAX_LENGTH) return;
    if (this.known.size >= MAX_TARGETS) this.known.clear();
    this.known.set(sent, { host, match });
  }
}
