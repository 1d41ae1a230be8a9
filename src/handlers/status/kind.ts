/** Routes that show the gateway's status: `[status."/path/"]`. */

import { type RawFile, tableAt } from '../../config/route-schema.ts';
import { isTable } from '../../config/values/tables.ts';
import type { Reading } from '../../config/values/value.ts';
import type { RouteKind } from '../../http/route-kind.ts';
import { type StatusConfig, statusTable } from './keys.ts';

const STATUS = 'status';

export const statusKind: RouteKind<typeof STATUS, StatusConfig> = {
  name: STATUS,
  doc: "The gateway's own status page, below a path of a listener. It needs `auth`; [admin] serves the same on an address of its own.",
  table: statusTable,
  startsPrograms: false,
  check: checkStatus,
  build: (_key, { actions, hosts }, { status }) => status.handler({ actions, hosts }),
};

/** It is below a path, and nobody sees it without a proof of who he is. */
function checkStatus({ table, routes }: RawFile, reading: Reading): void {
  const defaults = tableAt(table, ['defaults', 'auth']);
  for (const { kind, key, path, table: route } of routes) {
    if (kind.name !== STATUS) continue;
    if (!key.endsWith('/'))
      reading.problem(path, 'has pages below its path, so its key ends with "/"', `write [${STATUS}."${key}/"]`);
    const auth = { ...defaults, ...(isTable(route['auth']) ? route['auth'] : {}) };
    const asks =
      auth['client_certificate'] === true ||
      (['basic', 'tokens', 'proxy_user'] as const).some((name) => auth[name] !== undefined);
    if (!asks || auth['require'] === 'none')
      reading.problem(
        path,
        'would show the status to every client',
        'set auth, or serve it on an address of its own: [admin] listen = "127.0.0.1:9180"',
      );
  }
}
