/** Routes that another server answers: `[proxy."/path"]`. */
import type { RouteKind } from '../../http/route-kind.ts';
import { proxyHandler } from './handler.ts';
import { type ProxyConfig, proxyTable } from './keys.ts';

export const proxyKind: RouteKind<'proxy', ProxyConfig> = {
  name: 'proxy',
  doc: 'Servers behind the gateway.',
  table: proxyTable,
  startsPrograms: false,
  maxMessage: ({ max_message }) => max_message,
  build(key, route, { log, tallies }) {
    return proxyHandler(route, { route: key, log, tallies });
  },
};
