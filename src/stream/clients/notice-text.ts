/** A notice as text: the data of an event, and what follows the first line of a WebSocket's event. */
import type { Notice } from '../ends.ts';

/** @param about what the transport adds to what a client is told when it has joined */
export function noticeText(notice: Notice, about: { readonly [name: string]: string | number }): string {
  if (notice.kind === 'missed') return String(notice.count ?? '');
  if (notice.kind === 'notice') return notice.text;
  return JSON.stringify({ ...notice.facts, ...(notice.id === '' ? {} : { id: notice.id }), ...about });
}
