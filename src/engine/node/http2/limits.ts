/** What one HTTP/2 connection may ask of us. Each bound has its reason; nginx and nghttp2 have similar ones. */

/** Requests at once: ten pages full of event streams, and what a browser assumes before it knows better (RFC 9113 section 6.5.2 asks for 100). */
export const MAX_STREAMS = 100;

/**
 * Requests that the client takes back before they are answered. A browser that leaves a page takes back all of it; a flood of them has us begin
 * work for nothing (CVE-2023-44487, "rapid reset"), by whatever frame the client makes a stream end.
 */
export const RESETS: Allowance = { burst: 500, perSecond: 33 };

/** PING and SETTINGS frames: each has to be answered. */
export const CONTROL_FRAMES: Allowance = { burst: 200, perSecond: 20 };

/** Frames that break the protocol without being worth a connection, and empty DATA frames. */
export const MAX_INVALID_FRAMES = 50;

/** Memory for heads and frames on their way, beyond which new requests are refused. Megabytes. */
export const MAX_SESSION_MEMORY = 10;

/** Entries of one SETTINGS frame: there are eight kinds. */
export const MAX_SETTINGS = 32;

/** How long an answer of which the client takes nothing is kept while others of its connection go on. Milliseconds. */
export const STALLED_STREAM = 300_000;

/** How often something may happen: so many times at once, and so many a second for ever. */
export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

/** Counts down an allowance. */
export class Budget {
  private left: number;
  private since = performance.now();

  constructor(private readonly allowance: Allowance) {
    this.left = allowance.burst;
  }

  /** False: once too often. */
  take(now = performance.now()): boolean {
    const { burst, perSecond } = this.allowance;
    this.left = Math.min(burst, this.left + ((now - this.since) / 1000) * perSecond) - 1;
    this.since = now;
    return this.left >= 0;
  }
}

/**
 * Whether the http2 of this Node can be put before strangers: 20.12.1 was the first whose process does not end because of a client that leaves
 * in the middle of a head (CVE-2024-27983).
 */
export function isHttp2Sound(version = process.versions.node): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major !== 20) return major > 21;
  return minor > 12 || (minor === 12 && patch >= 1);
}
