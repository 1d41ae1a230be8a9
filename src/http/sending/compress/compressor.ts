/**
 * Compresses replies of routes with `compress`: what lies in memory once for all who ask, what flows while it flows, a bounded number at a time. Where
 * there is no room for one more the reply goes out as it is.
 */
import type { BodySource, Reply, Request } from '../../../engine/engine.ts';
import type { CacheBudget } from '../../../files/cache.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import { chooseCoding, listField } from '../../accept.ts';
import { NoBody } from '../../reply-bodies.ts';
import { compressedFields, isCompressible, LEAST, variedFields } from './fields.ts';
import { GzipBody } from './gzip-body.ts';

type Zlib = typeof import('node:zlib');

/** Replies that are compressed at one time: 0.15 MiB each. */
const AT_ONCE = { usual: 16, small: 4 };
/** Of what is compressed once and sent often. */
const ONCE = { level: 6 };
/** Of what is compressed for one client. */
const EACH = { level: 1, windowBits: 14, memLevel: 7 };
/** A form that saves less than this share is not worth the client's work. */
const WORTH = 0.95;

/** A reply that is given again and again, as the one or the other client gets it. */
interface KeptForms {
  readonly plain: Reply;
  gzip: Reply | undefined;
  /** Compressed it is not smaller. */
  refused: boolean;
  pending: Promise<Reply> | undefined;
}

export interface CompressorParts {
  /** What lies in memory compressed counts as cached files do. */
  readonly files: CacheBudget;
  readonly tallies: Pick<Tallies, 'compression'>;
  /** Memory is small. */
  readonly small: boolean;
}

export class Compressor {
  private readonly kept = new WeakMap<Reply, KeptForms>();
  private active = 0;
  private zlib: Zlib | undefined;

  constructor(private readonly parts: CompressorParts) {}

  /** The reply as this client is to get it. @param route its key, for the counts */
  apply(reply: Reply, request: Pick<Request, 'method' | 'headers'>, route: string): Reply | Promise<Reply> {
    if (!isCompressible(reply)) return isPartial(reply) ? this.varied(reply) : reply;
    if (chooseCoding(listField(request.headers, 'accept-encoding'), ['gzip']) === undefined) return this.varied(reply);
    const { zlib } = this;
    if (zlib !== undefined) return this.compress(zlib, reply, request, route);
    // Only where it is used: it takes 0.4 MiB.
    return import('node:zlib').then((loaded) => {
      this.zlib = loaded;
      return this.compress(loaded, reply, request, route);
    });
  }

  private compress(
    zlib: Zlib,
    reply: Reply,
    { method }: Pick<Request, 'method'>,
    route: string,
  ): Reply | Promise<Reply> {
    const { body } = reply;
    if (typeof body === 'object' && 'start' in body) return this.flowing(zlib, reply, body, method, route);
    return reply.lasting === 'whole' ? this.lasting(zlib, reply, route) : this.once(zlib, reply, route);
  }

  /** Whoever asks next gets the same. */
  private lasting(zlib: Zlib, reply: Reply, route: string): Reply | Promise<Reply> {
    const forms = this.formsOf(reply);
    if (forms.refused) return forms.plain;
    if (forms.gzip !== undefined) {
      this.parts.tallies.compression.replies.add(1, route, 'cached');
      return forms.gzip;
    }
    if (forms.pending !== undefined) return forms.pending;
    if (!this.enter(route)) return forms.plain;
    forms.pending = gzip(zlib, bytesOf(reply), ONCE).then((bytes) => {
      this.leave(route, bodyBytes(reply), bytes.length);
      forms.pending = undefined;
      if (bytes.length > bodyBytes(reply) * WORTH) {
        forms.refused = true;
        return forms.plain;
      }
      const made = { ...reply, headers: compressedFields(reply.headers), body: bytes };
      const forget = () => {
        forms.gzip = undefined;
      };
      if (this.parts.files.add({ bytes: bytes.length, forget })) forms.gzip = made;
      return made;
    });
    return forms.pending;
  }

  /** All of it is there, for one client. */
  private once(zlib: Zlib, reply: Reply, route: string): Reply | Promise<Reply> {
    if (!this.enter(route)) return this.varied(reply);
    return gzip(zlib, bytesOf(reply), EACH).then((bytes) => {
      this.leave(route, bodyBytes(reply), bytes.length);
      if (bytes.length > bodyBytes(reply) * WORTH) return this.varied(reply);
      return { ...reply, headers: compressedFields(reply.headers), body: bytes };
    });
  }

  private flowing(zlib: Zlib, reply: Reply, body: BodySource, method: string, route: string): Reply | Promise<Reply> {
    const headers = compressedFields(reply.headers);
    if (method === 'HEAD') {
      body.cancel();
      return { ...reply, headers, body: new NoBody(undefined) };
    }
    if (!this.enter(route)) return this.varied(reply);
    const flow = new GzipBody(zlib, body, (taken, sent) => this.leave(route, taken, sent));
    // A program that is over has a length after all: then the client is told, and a short text stays as it is.
    if (body.length === undefined && reply.opening === undefined) {
      flow.begin();
      const whole = flow.takeWhole();
      if (whole !== undefined) {
        const there = { ...reply, body: whole };
        return whole.length < LEAST ? there : this.once(zlib, there, route);
      }
    }
    return { ...reply, headers, body: flow };
  }

  /** The same reply, as a client gets it that takes it as it is. */
  private varied(reply: Reply): Reply {
    if (reply.lasting === 'whole') return this.formsOf(reply).plain;
    return { ...reply, headers: variedFields(reply.headers) };
  }

  private formsOf(reply: Reply): KeptForms {
    const known = this.kept.get(reply);
    if (known !== undefined) return known;
    const plain = { ...reply, headers: variedFields(reply.headers) };
    const forms: KeptForms = { plain, gzip: undefined, refused: false, pending: undefined };
    this.kept.set(reply, forms);
    return forms;
  }

  private enter(route: string): boolean {
    if (this.active >= AT_ONCE[this.parts.small ? 'small' : 'usual']) {
      this.parts.tallies.compression.replies.add(1, route, 'busy');
      return false;
    }
    this.active++;
    return true;
  }

  private leave(route: string, taken: number, sent: number): void {
    this.active--;
    if (sent === 0) return;
    const { replies, bytes } = this.parts.tallies.compression;
    replies.add(1, route, 'gzip');
    bytes.add(taken, route, 'before');
    bytes.add(sent, route, 'after');
  }
}

/** What says nothing of its type, or is a part of what could have been had compressed. */
function isPartial({ status }: Reply): boolean {
  return status === 304 || status === 206;
}

function bytesOf({ body }: Reply): Uint8Array | string {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw new TypeError('the body is not in memory');
}

function bodyBytes(reply: Reply): number {
  const bytes = bytesOf(reply);
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
}

function gzip(zlib: Zlib, bytes: Uint8Array | string, options: object): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    zlib.gzip(bytes, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
