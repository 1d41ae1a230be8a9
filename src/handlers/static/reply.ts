/** From a file and a request to the answer, as far as no file needs to be opened for it. Pure. */
import type { HeaderList, Reply, Request } from '../../engine/engine.ts';
import { assembled, type ByteRange, contentRange, multipart, parseRange, type RangePiece } from '../../files/range.ts';
import type { Representation } from '../../files/representation.ts';
import type { Resource } from '../../files/resources.ts';
import { type Conditions, precondition, rangeApplies } from '../../files/validators.ts';
import { chooseCoding, listField } from '../../http/accept.ts';
import { HttpError } from '../../http/errors.ts';
import { NoBody } from '../../http/reply-bodies.ts';

/** The file itself, or the compressed form that the client would rather have. */
export function variantFor(resource: Resource, request: Request): Representation {
  const { identity, encoded } = resource;
  if (encoded.length === 0) return identity;
  const offered = encoded.flatMap(({ coding }) => coding ?? []);
  const chosen = chooseCoding(listField(request.headers, 'accept-encoding'), offered);
  return (chosen && encoded.find(({ coding }) => coding === chosen)) ?? identity;
}

/** The answer to what can be answered from what is in memory; undefined when the file is to be opened. */
export function settle(file: Representation, request: Request, conditions: Conditions | undefined): Reply | undefined {
  if (conditions !== undefined) {
    const outcome = precondition(conditions, file.validators);
    if (outcome === 'not-modified') return file.notModified;
    if (outcome === 'precondition-failed') throw new HttpError(412, 'a precondition of the request does not hold');
  }
  if (request.method === 'HEAD') {
    return file.whole ?? { status: 200, headers: file.headers, body: new NoBody(file.size) };
  }
  if (file.bytes === undefined) return undefined;
  if (conditions?.range === undefined) return file.whole;
  const { status, headers, pieces } = content(file, request, conditions);
  if (status === 200) return file.whole;
  return { status, headers, body: assembled(pieces, file.bytes) };
}

/** What a GET gets of a file: all of it, or the parts that it asks for. */
export interface Content {
  readonly status: 200 | 206;
  readonly headers: HeaderList;
  readonly pieces: readonly RangePiece[];
}

export function content(file: Representation, request: Request, conditions: Conditions | undefined): Content {
  const ranges = wantedRanges(file, request, conditions);
  const [only] = ranges;
  if (only === undefined) {
    const pieces = file.size === 0 ? [] : [{ start: 0, end: file.size - 1 }];
    return { status: 200, headers: file.headers, pieces };
  }
  if (ranges.length === 1) {
    const headers: HeaderList = [...file.headers, ['content-range', contentRange(only, file.size)]];
    return { status: 206, headers, pieces: [only] };
  }
  const { contentType, pieces } = multipart(ranges, file.type, file.size);
  const others = file.headers.filter(([name]) => name !== 'content-type');
  return { status: 206, headers: [['content-type', contentType], ...others], pieces };
}

/** The parts that are wanted; none for the whole file. */
function wantedRanges(
  file: Representation,
  request: Request,
  conditions: Conditions | undefined,
): readonly ByteRange[] {
  if (conditions?.range === undefined || request.method !== 'GET') return [];
  if (!rangeApplies(conditions.ifRange, file.validators, Date.now())) return [];
  const ranges = parseRange(conditions.range, file.size);
  if (ranges === 'whole') return [];
  if (ranges !== 'unsatisfiable') return ranges;
  const headers = [['content-range', contentRange(undefined, file.size)]] as const;
  throw new HttpError(416, 'the range lies beyond the end of the file', { headers });
}
