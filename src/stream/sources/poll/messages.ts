/** What viewers say, on its way to a source that answers each message by itself. */
import { HttpError } from '../../../http/errors.ts';
import type { MessageAnswer } from '../source.ts';
import { type PollAnswer, PollFailure } from './target.ts';

const TEXT = 'text/plain; charset=utf-8';

/** The Content-Type of a message: what is `known` of it, or what it looks like. */
export function mediaTypeOf(message: Buffer, known: string | undefined): string {
  return known ?? (looksLikeJson(message) ? 'application/json' : TEXT);
}

/** The answer to a viewer's message, as its sender gets it. Rejects with an `HttpError`. */
export async function answered(answer: Promise<PollAnswer>): Promise<MessageAnswer> {
  try {
    const { status, headers, body } = await answer;
    return { status, data: body, type: headers.find(([name]) => name === 'content-type')?.[1] };
  } catch (error) {
    if (!(error instanceof PollFailure)) throw error;
    const detail = error.detail === undefined ? '' : ` (${error.detail})`;
    throw new HttpError(error.status, `a message to the source failed: ${error.message}${detail}`, {
      headers: error.headers.filter(([name]) => name === 'retry-after'),
    });
  }
}

function looksLikeJson(data: Buffer): boolean {
  const text = data.toString();
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
