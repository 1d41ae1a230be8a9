/** A file as it is served: its header fields and, when it is small, its bytes, made once and sent many times. */
import { type BigIntStats, close, read } from 'node:fs';
import { promisify } from 'node:util';
import type { HeaderList, Reply } from '../engine/engine.ts';
import { formatHttpDate } from './http-date.ts';
import type { PathHandle } from './locate.ts';
import { etagOf, type Validators } from './validators.ts';

const closed = promisify(close);
const readInto = promisify(read);

/**
 * A file written to this recently (milliseconds) may be written to again without its times showing it: the kernel's clock for files
 * goes in steps of up to 10 ms. So such a state is not taken for known when the times are the same later.
 */
const UNSETTLED = 100;

/** A compressed form in which a file may lie beside itself: `app.js.br` for `app.js`. */
export interface Coding {
  /** In Accept-Encoding and Content-Encoding. */
  readonly name: 'br' | 'zstd' | 'gzip';
  readonly suffix: string;
}

/** The best first: what is taken when the client likes several equally. */
export const CODINGS: readonly Coding[] = [
  { name: 'br', suffix: '.br' },
  { name: 'zstd', suffix: '.zst' },
  { name: 'gzip', suffix: '.gz' },
];

export interface Representation {
  /** Where it lies below the root. */
  readonly segments: readonly string[];
  readonly coding: Coding['name'] | undefined;
  /** Whether another representation is there to choose from. */
  readonly varies: boolean;
  readonly stats: BigIntStats;
  readonly size: number;
  /** Content-Type. */
  readonly type: string;
  readonly validators: Validators;
  /** All of it, when it is small. */
  readonly bytes: Buffer | undefined;
  /** Of a 200; framing is not among them. */
  readonly headers: HeaderList;
  /** The whole answer, ready, when it is small. */
  readonly whole: Reply | undefined;
  readonly notModified: Reply;
  /** Whether equal times at a later check mean an equal file. */
  readonly settled: boolean;
}

/** What a representation is made of. */
export interface RepresentationFacts extends Pick<Representation, 'segments' | 'coding' | 'varies' | 'stats' | 'type'> {
  /** All of it; only when they have been read. */
  readonly bytes: Buffer | undefined;
  readonly cacheControl: string | undefined;
}

/** An engine makes its Date once a second, and a little late when it is busy. Milliseconds. */
const DATE_LAG = 3000;

/** What is known of a located file. `now` in milliseconds since 1970. */
export function represent(facts: RepresentationFacts, now: number): Representation {
  const { segments, coding, varies, stats, type, bytes, cacheControl } = facts;
  const size = Number(stats.size);
  // RFC 9110 section 8.8.2.1: never later than the Date of the answer. A board without a clock of its own has such files.
  const written = Math.floor(Number(stats.mtimeNs / 1_000_000n) / 1000) * 1000;
  const fromTheFuture = written > now;
  const modified = fromTheFuture ? Math.floor(now / 1000) * 1000 - DATE_LAG : written;
  const etag = etagOf(size, stats.mtimeNs, coding);
  const caching: HeaderList = [
    ...(cacheControl === undefined ? [] : [['cache-control', cacheControl] as const]),
    ...(varies ? [['vary', 'Accept-Encoding'] as const] : []),
  ];
  const headers: HeaderList = [
    ['content-type', type],
    ['etag', etag],
    ['last-modified', formatHttpDate(modified)],
    ['accept-ranges', 'bytes'],
    ...(coding === undefined ? [] : [['content-encoding', coding] as const]),
    ...caching,
  ];
  return {
    segments,
    coding,
    varies,
    stats,
    size,
    type,
    validators: { etag, modified },
    bytes,
    headers,
    whole: bytes && { status: 200, headers, body: bytes, lasting: 'whole' },
    notModified: { status: 304, headers: [['etag', etag], ...caching], body: undefined, lasting: 'whole' },
    // A time that is only right for now is not kept: the clock may be set right meanwhile.
    settled: !fromTheFuture && Math.abs(now - Number(stats.ctimeNs / 1_000_000n)) > UNSETTLED,
  };
}

/** Whether a file is, as far as its times tell, in the state that was represented. */
export function isUnchanged(known: Representation, stats: BigIntStats): boolean {
  const before = known.stats;
  return (
    known.settled &&
    before.size === stats.size &&
    before.mtimeNs === stats.mtimeNs &&
    before.ctimeNs === stats.ctimeNs &&
    before.ino === stats.ino &&
    before.dev === stats.dev
  );
}

/** All of a small file; undefined when it is not as long as it was a moment ago. */
export async function readWhole(located: PathHandle): Promise<Buffer | undefined> {
  const descriptor = await located.open();
  try {
    const length = Number(located.stats.size);
    // One byte more than there should be: a file that has grown shows itself by filling it.
    const buffer = Buffer.allocUnsafeSlow(length + 1);
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await readInto(descriptor, buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled === length ? buffer.subarray(0, length) : undefined;
  } finally {
    await closed(descriptor);
  }
}
