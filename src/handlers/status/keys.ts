/** The keys of a route that shows the status. */
import { type Complete, routeKeys } from '../../config/keys/routes.ts';
import { hostPattern } from '../../config/values/names.ts';
import { boolean } from '../../config/values/simple.ts';
import { listOf, table } from '../../config/values/tables.ts';
import { preset } from '../../config/values/value.ts';

export const statusTable = table({
  actions: preset(
    boolean,
    false,
    'Whether users who may see the page may also reload, end programs and connections, take listeners down for maintenance, and try streams.',
  ),
  hosts: preset(
    listOf(hostPattern, 'hosts'),
    [],
    'The hosts that it answers for, in addition to addresses such as 192.168.1.7 and the names of localhost. Requests with another Host get 421. "*" means any host.',
  ),
  ...routeKeys,
});

export type StatusConfig = Complete<typeof statusTable>;
