/** The transports. Each is loaded with its first use. */
import type { Transport } from '../options.ts';
import type { Link, LinkEvents, LinkParts } from './link.ts';

export async function openLink(transport: Transport, parts: LinkParts, events: LinkEvents): Promise<Link> {
  switch (transport) {
    case 'websocket':
      return await (await import('./websocket.ts')).openWebSocket(parts, events);
    case 'events':
      return await (await import('./events.ts')).openEvents(parts, events);
    case 'poll':
      return await (await import('./poll.ts')).openPoll(parts, events);
  }
}
