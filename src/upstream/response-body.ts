/** Where the body of an answer ends (RFC 9112 section 6.3), read as curl reads it. Pure. */
import type { HeaderList } from '../engine/engine.ts';
import { ChunkError, Dechunker } from './dechunk.ts';
import { closedEarly, UpstreamError } from './faults.ts';
import type { ResponseHead } from './response-head.ts';

export interface BodyFraming {
  readonly kind: 'none' | 'length' | 'chunked' | 'until-close';
  /** Of the body, bytes; undefined where nobody knows yet. */
  readonly length: number | undefined;
  /** Whether everybody would read it so. */
  readonly exact: boolean;
}

/** Throws an `UpstreamError` where nobody can tell what the body is. */
export function framingOf({ status, headers }: ResponseHead, method: string): BodyFraming {
  const lengths = valuesOf(headers, 'content-length');
  const exact = lengths.length === 0 || (lengths.length === 1 && /^\d{1,15}$/.test(lengths[0] ?? ''));
  if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'none', length: 0, exact };
  const codings = valuesOf(headers, 'transfer-encoding')
    .map((coding) => coding.toLowerCase())
    .filter((coding) => coding !== 'identity');
  const other = codings.find((coding) => coding !== 'chunked');
  if (other !== undefined)
    throw new UpstreamError('its response has a transfer coding that the request did not ask for', {
      detail: other.slice(0, 80),
    });
  if (codings.length > 0)
    return { kind: 'chunked', length: undefined, exact: codings.length === 1 && lengths.length === 0 };
  const length = agreedLength(lengths);
  return { kind: length === undefined ? 'until-close' : 'length', length, exact };
}

/** Equal lengths are one. Two that differ are refused: whichever counts, a reader on the way may have taken the other. */
function agreedLength(lengths: readonly string[]): number | undefined {
  const [length, ...others] = lengths.map(numberIn);
  if (others.some((other) => other !== length))
    throw new UpstreamError('its response has two lengths', { detail: lengths.join(' and ').slice(0, 80) });
  return length;
}

/** "5 bytes" is 5, and what is no number says nothing, as curl has it. */
function numberIn(value: string): number | undefined {
  const digits = /^\+?(\d{1,15})(?!\d)/.exec(value)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The members of a list field, those of repeated ones behind each other. */
function valuesOf(headers: HeaderList, wanted: string): readonly string[] {
  return headers
    .filter(([name]) => name === wanted)
    .flatMap(([, value]) => value.split(',').map((part) => part.trim()));
}

/** Takes a body's bytes apart from what is only its framing. */
export class BodyReader {
  /** More came than the body has. */
  surplus = false;
  private left: number;
  private readonly dechunker: Dechunker | undefined;

  constructor(private readonly framing: BodyFraming) {
    this.left = framing.kind === 'length' ? (framing.length ?? 0) : 0;
    this.dechunker = framing.kind === 'chunked' ? new Dechunker() : undefined;
  }

  /** All of it is there. */
  get over(): boolean {
    if (this.dechunker !== undefined) return this.dechunker.over;
    return this.framing.kind !== 'until-close' && this.left === 0;
  }

  /** The body's part of `bytes`, which lies in them and may move within them. Throws an `UpstreamError`. */
  feed(bytes: Buffer): Buffer {
    const { dechunker, framing } = this;
    if (dechunker !== undefined) return this.dechunked(dechunker, bytes);
    if (framing.kind === 'until-close') return bytes;
    const part = bytes.subarray(0, this.left);
    this.left -= part.length;
    if (part.length < bytes.length) this.surplus = true;
    return part;
  }

  /** The connection has ended. Undefined: so has the body. */
  end(): UpstreamError | undefined {
    if (this.over || this.framing.kind === 'until-close' || this.dechunker?.whole === true) return undefined;
    const detail =
      this.dechunker === undefined
        ? `${this.left} of ${this.framing.length} bytes are missing`
        : 'its last chunk is missing';
    return closedEarly(detail);
  }

  private dechunked(dechunker: Dechunker, bytes: Buffer): Buffer {
    try {
      let [start, end] = [0, 0];
      for (const part of dechunker.feed(bytes)) {
        if (end === 0) start = part.byteOffset - bytes.byteOffset;
        const at = part.byteOffset - bytes.byteOffset;
        if (end > 0) bytes.copyWithin(end, at, at + part.length);
        else end = start;
        end += part.length;
      }
      if (dechunker.surplus) this.surplus = true;
      return bytes.subarray(start, end);
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      throw new UpstreamError('its response has invalid chunks', { detail: error.message });
    }
  }
}
