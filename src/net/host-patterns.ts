/** A list of hosts with wildcards, and what is in it. */
import type { Host } from './host.ts';

export class HostPatterns {
  private readonly everybody: boolean;
  private readonly exact: ReadonlySet<string>;
  /** What stands behind the "*" of "*.example.org". */
  private readonly below: readonly string[];

  /** @param patterns names in their one form, "*.example.org" for all below one, or "*" */
  constructor(patterns: readonly string[]) {
    this.everybody = patterns.includes('*');
    this.exact = new Set(patterns);
    this.below = patterns.filter((pattern) => pattern.startsWith('*.')).map((pattern) => pattern.slice(1));
  }

  /**
   * Whether a listener with this list answers for `host`. An address is nobody's to point somewhere else, and "localhost" is this machine
   * for everybody (RFC 6761 section 6.3): both are always good.
   */
  admits({ name, kind }: Pick<Host, 'name' | 'kind'>): boolean {
    if (this.everybody || kind !== 'name' || name === 'localhost' || name.endsWith('.localhost')) return true;
    return this.exact.has(name) || this.below.some((end) => name.endsWith(end));
  }
}
