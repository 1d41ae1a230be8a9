/** What is counted of routes with `compress`. */
import { label, openLabel } from './family.ts';
import { counter } from './tally.ts';

const ROUTE = openLabel('route', 'The key of the route as configured');

export class CompressionTallies {
  readonly replies = counter({
    name: 'runnel_compressed_total',
    help: 'Replies of routes with compress that could be compressed for their client.',
    labels: [
      ROUTE,
      label('outcome', 'The form that was sent', {
        gzip: 'it was compressed for this client',
        cached: 'it lay compressed in memory',
        busy: 'it was sent as it is, because as many are compressed at once as may be',
      }),
    ],
  });
  readonly messages = counter({
    name: 'runnel_compressed_messages_total',
    help: 'Messages of streams with compress that were compressed, each counted for each WebSocket that got it so.',
    labels: [ROUTE],
  });
  readonly bytes = counter({
    name: 'runnel_compressed_bytes_total',
    help: 'Bytes of bodies that were compressed.',
    labels: [ROUTE, label('side', 'Where', { before: 'before it', after: 'after it' })],
  });
}
