/**
 * `/.runnel/`: what runnel itself has for browsers. `client.js` and its types, `check`, the page that tells a viewer which
 * transports get through to here, the stream that it tries them on, and `picture?stream=PATH`, the page of a stream of pictures.
 */
import { createHash } from 'node:crypto';
import type { HeaderList, Reply } from '../../engine/engine.ts';
import { conditionsOf, precondition } from '../../files/validators.ts';
import { chooseCoding, listField } from '../../http/accept.ts';
import { HttpError } from '../../http/errors.ts';
import type { Answer, Call, Handler } from '../../http/handler.ts';
import { redirectReply } from '../../http/reply.ts';
import type { Assets } from '../../ops/assets.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { withoutComments } from '../status/script-page.ts';
import { checkStream } from './check-stream.ts';
import { picturePage } from './picture-page.ts';

/** No route of a configuration may be here or below. */
export const BROWSER_FILES = '/.runnel/';

/** The files of `browser/`, each by the name that it has below `/.runnel/`. */
const FILES: ReadonlyMap<string, BrowserAsset> = new Map([
  ['client.js', { file: 'browser/client.js', type: 'text/javascript; charset=utf-8', shorten: withoutComments }],
  ['client.d.ts', { file: 'browser/client.d.ts', type: 'text/plain; charset=utf-8' }],
  ['check', { file: 'browser/check.html', type: 'text/html; charset=utf-8' }],
  ['picture', { make: namedPicturePage, type: 'text/html; charset=utf-8' }],
]);

interface BrowserAsset {
  readonly type: string;
  /** Its path among the assets. */
  readonly file?: string;
  /** Leaves out what browsers do not need. */
  shorten?(text: string): string;
  /** Its text, where it is put together of several files. */
  make?(assets: Assets): string;
}

function namedPicturePage(assets: Assets): string {
  return picturePage(assets, 'named', withoutComments).replaceAll('{{title}}', 'Picture · runnel');
}

interface BrowserFile {
  readonly identity: Buffer;
  readonly gzip: Buffer;
  readonly etag: string;
  readonly headers: HeaderList;
}

export interface BrowserFilesParts {
  readonly assets: Assets;
  readonly log: Log;
  readonly tallies: Tallies;
}

export class BrowserFiles implements Handler {
  readonly kind = 'browser-files';
  readonly methods = ['GET', 'HEAD', 'POST'] as const;
  readonly takesBody = true;
  /** For the stream; a script or a page may be asked for by anyone. */
  readonly crossSite = 'same-origin';
  readonly pacesItself = true;
  /** Read and compressed when they are first asked for. */
  private readonly files = new Map<string, BrowserFile>();
  private readonly stream: Handler;

  constructor(private readonly parts: BrowserFilesParts) {
    this.stream = checkStream(BROWSER_FILES, parts.log, parts.tallies);
  }

  async handle(call: Call): Promise<Answer> {
    const { rest } = call;
    if (rest === 'check/stream') return await this.stream.handle(call);
    if (rest === 'check/') return redirectReply(`${BROWSER_FILES}check`);
    const file = await this.file(rest);
    if (call.request.method === 'POST') throw new HttpError(405, 'a file', { headers: [['allow', 'GET, HEAD']] });
    return answer(file, call);
  }

  retire(reason: string): void {
    this.stream.retire(reason);
  }

  close(): Promise<void> {
    return this.stream.close();
  }

  private async file(name: string): Promise<BrowserFile> {
    const known = this.files.get(name);
    if (known !== undefined) return known;
    const asset = FILES.get(name);
    if (asset === undefined) throw new HttpError(404, 'runnel has no file of this name');
    const { assets } = this.parts;
    const text = asset.make?.(assets) ?? assets.read(asset.file ?? '').toString();
    // Loaded with the first file: most gateways never show one.
    const { gzipSync } = await import('node:zlib');
    const file = browserFile(asset.shorten?.(text) ?? text, asset.type, (bytes) => gzipSync(bytes, { level: 9 }));
    this.files.set(name, file);
    return file;
  }
}

function browserFile(text: string, contentType: string, compress: (bytes: Buffer) => Buffer): BrowserFile {
  const identity = Buffer.from(text);
  const etag = `"${createHash('sha256').update(identity).digest('base64url').slice(0, 16)}"`;
  const headers: HeaderList = [
    ['content-type', contentType],
    // Asked for again each time, so that client and gateway are of one version.
    ['cache-control', 'no-cache'],
    ['vary', 'Accept-Encoding'],
    ['x-content-type-options', 'nosniff'],
  ];
  return { identity, gzip: compress(identity), etag, headers };
}

function answer(file: BrowserFile, call: Call): Reply {
  const gzip = chooseCoding(listField(call.request.headers, 'accept-encoding'), ['gzip']) === 'gzip';
  // What is the same in another coding is another representation (RFC 9110 section 8.8.3.3).
  const etag = gzip ? file.etag.replace(/"$/, '-gzip"') : file.etag;
  const headers: HeaderList = [...file.headers, ['etag', etag]];
  const conditions = conditionsOf(call.request.headers);
  const outcome = conditions === undefined ? 'proceed' : precondition(conditions, { etag, modified: Date.now() });
  if (outcome === 'not-modified') return { status: 304, headers, body: undefined };
  if (outcome === 'precondition-failed') throw new HttpError(412, 'a precondition of the request does not hold');
  return gzip
    ? { status: 200, headers: [...headers, ['content-encoding', 'gzip']], body: file.gzip }
    : { status: 200, headers, body: file.identity };
}
