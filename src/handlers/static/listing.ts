/** A folder's content as a page, or as JSON for programs, written as it is read. */
import type { HeaderList, Reply, Request } from '../../engine/engine.ts';
import { formatHttpDate } from '../../files/http-date.ts';
import { type FolderEntry, FolderListing, ListingSemaphore } from '../../files/listing.ts';
import { segmentsOf } from '../../files/segments.ts';
import { listField, mediaWeight } from '../../http/accept.ts';
import { Busy } from '../../http/errors.ts';
import { escapeHtml, PAGE_END, PAGE_HEADERS, pageStart } from '../../http/page.ts';
import { IterableBody, NoBody } from '../../http/reply-bodies.ts';
import type { Log } from '../../ops/log.ts';
import type { PathBelow } from '../../routing/canonical-path.ts';

/** Listings of one route under way at once: each holds two descriptors and up to a megabyte. */
const MAX_LISTINGS = 16;

const CACHING: HeaderList = [
  ['cache-control', 'no-cache'],
  ['vary', 'Accept'],
];

export interface ListingsOptions {
  readonly root: string;
  /** The route's key. */
  readonly route: string;
  readonly log: Log;
}

export class Listings {
  private underWay = 0;
  private readonly turns = new ListingSemaphore();

  constructor(private readonly options: ListingsOptions) {}

  /** The listing of the folder at `rest`. Rejects with `FileRefusal`, or with a `Busy` when too many are under way. */
  async reply(rest: PathBelow, request: Request): Promise<Reply> {
    const format = wantsJson(request) ? JSON_FORMAT : HTML_FORMAT;
    const headers: HeaderList = [...format.headers, ...CACHING];
    if (request.method === 'HEAD') return { status: 200, headers, body: new NoBody(undefined) };
    if (this.underWay >= MAX_LISTINGS) throw new Busy(`${MAX_LISTINGS} folders are being listed already`);
    const segments = segmentsOf(rest);
    this.underWay++;
    const listing = await FolderListing.open(this.options.root, segments, this.turns).catch((error: unknown) => {
      this.underWay--;
      throw error;
    });
    const pieces = written(listing, format, { path: this.pathOf(segments), isTop: segments.join('') === '' });
    const body = new IterableBody(pieces, () => {
      this.underWay--;
      listing.close().catch((error: unknown) => {
        const { log, route } = this.options;
        log.warn('a folder could not be closed', { route, error: String(error) });
      });
    });
    return { status: 200, headers, body };
  }

  /** The folder's path, for people. */
  private pathOf(segments: readonly string[]): string {
    const { route } = this.options;
    return (
      route.slice(route.indexOf('/')) +
      segments
        .filter((segment) => segment !== '')
        .map((name) => `${name}/`)
        .join('')
    );
  }
}

/** The folder that is listed, as its page names it. */
interface Heading {
  readonly path: string;
  /** Whether it is the route's own: then there is no way up. */
  readonly isTop: boolean;
}

interface Format {
  readonly headers: HeaderList;
  start(heading: Heading, sorted: boolean): string;
  entry(entry: FolderEntry, first: boolean): string;
  /** @param empty nothing is listed */
  end(empty: boolean): string;
}

/** The listing as text, piece by piece, as far as it is asked for. */
async function* written(listing: FolderListing, format: Format, heading: Heading): AsyncGenerator<Uint8Array> {
  yield Buffer.from(format.start(heading, listing.sorted));
  let first = true;
  for (let entries = await listing.next(); entries !== undefined; entries = await listing.next()) {
    let text = '';
    for (const entry of entries) {
      text += format.entry(entry, first);
      first = false;
    }
    // Entries that are left out may leave a batch empty.
    if (text !== '') yield Buffer.from(text);
  }
  yield Buffer.from(format.end(first));
}

const HTML_FORMAT: Format = {
  headers: PAGE_HEADERS,
  start({ path, isTop }, sorted) {
    const up = isTop ? '' : '<li><a href="../">..</a></li>\n';
    const note = sorted ? '' : '<p class="quiet">Too many entries to sort.</p>\n';
    return `${pageStart(path)}<h1>${escapeHtml(path)}</h1>\n${note}<ul>\n${up}`;
  },
  entry({ name, kind, size, modified }) {
    const slash = kind === 'folder' ? '/' : '';
    const date = new Date(modified).toISOString();
    const shown = `${date.slice(0, 10)} ${date.slice(11, 16)}`;
    const link = `<a href="./${encodeURIComponent(name)}${slash}">${escapeHtml(name)}${slash}</a>`;
    const facts = `<small>${shown}</small> <span class="quiet">${kind === 'folder' ? '' : readableSize(size)}</span>`;
    return `<li>${link} ${facts}</li>\n`;
  },
  end: (empty) => `</ul>\n${empty ? '<p class="quiet">This folder has no files to show.</p>\n' : ''}${PAGE_END}`,
};

/** nginx's own format, so that what reads the one reads the other. */
const JSON_FORMAT: Format = {
  headers: [['content-type', 'application/json']],
  start: () => '[',
  entry({ name, kind, size, modified }, first) {
    const mtime = formatHttpDate(modified);
    const entry = kind === 'folder' ? { name, type: 'directory', mtime } : { name, type: 'file', mtime, size };
    return `${first ? '' : ','}\n${JSON.stringify(entry)}`;
  },
  end: () => '\n]\n',
};

function wantsJson(request: Request): boolean {
  const accept = listField(request.headers, 'accept');
  return mediaWeight(accept, 'application/json') > mediaWeight(accept, 'text/html');
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes for people: "512 B", "1.5 KiB", "20 MiB". */
export function readableSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  const value = bytes / 1024 ** power;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[power - 1]}`;
}
