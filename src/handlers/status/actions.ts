/** What an operator's page or program asks for, read from the body of a POST. */
import { HttpError } from '../../http/errors.ts';
import type { Action } from '../../ops/status.ts';

/** Bytes. */
export const MAX_ACTION = 4096;

/**
 * Throws an `HttpError` for what is no action.
 * @param type its media type: a form of another page cannot send JSON without being asked first (Fetch, "CORS-safelisted request-header")
 */
export function parseAction(body: Buffer, type: string | undefined): Action {
  if (type?.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json')
    throw new HttpError(415, 'an action is sent as application/json');
  const action = actionOf(parse(body.toString()));
  if (action === undefined) throw new HttpError(400, 'unknown action');
  return action;
}

type Fields = { readonly [key: string]: unknown };

function parse(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    throw new HttpError(400, 'the body is not JSON');
  }
}

function actionOf(fields: Fields): Action | undefined {
  const { action, pid, route, client, listener, down } = fields;
  switch (action) {
    case 'reload':
      return { action };
    case 'restart':
      return typeof pid === 'number' && Number.isSafeInteger(pid) ? { action, pid } : undefined;
    case 'end-client':
      return typeof route === 'string' && typeof client === 'string' ? { action, route, client } : undefined;
    case 'maintenance':
      return typeof listener === 'string' && typeof down === 'boolean' ? { action, listener, down } : undefined;
    default:
      return undefined;
  }
}
