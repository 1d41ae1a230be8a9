/** Who may reach the operator's own listener. */
import { isGuarded } from '../keys/policies.ts';
import { override } from '../keys/routes.ts';
import { quote } from '../reading/problems.ts';
import { type RawFile, tableAt } from '../route-schema.ts';
import type { CommonConfig } from '../schema.ts';
import { type Address, parseAddress } from '../values/simple.ts';
import { isTable } from '../values/tables.ts';
import type { Reading } from '../values/value.ts';

/** Other machines see what the gateway does, and perhaps do something to it, only when they have said who they are. */
export function checkAdmin({ table }: RawFile, reading: Reading): void {
  const admin = tableAt(table, ['admin']);
  const { listen, auth: own } = admin;
  const auth: { readonly [key: string]: unknown } = {
    ...tableAt(table, ['defaults', 'auth']),
    ...(isTable(own) ? own : {}),
  };
  if (isTable(own) && own['client_certificate'] === true)
    reading.problem(
      ['admin', 'auth', 'client_certificate'],
      'cannot be asked for here: this listener speaks no TLS',
      'use basic or tokens, or a status route of a listener with tls',
    );
  const address = typeof listen === 'string' ? parseAddress(listen, reading.directory) : undefined;
  if (address === undefined || isOwnMachine(address)) return;
  const asks = ['basic', 'tokens', 'proxy_user'].some((name) => auth[name] !== undefined);
  if (isTable(own) && asks && auth['require'] !== 'none') return;
  reading.problem(
    ['admin', 'listen'],
    `${quote(address.text)} is open to other machines without a login`,
    'add auth = { tokens = "FILE" } or auth = { basic = "FILE" } to [admin], or listen on "127.0.0.1:9180" or "unix:PATH"',
  );
}

/** What is allowed, and may be more than was meant. */
export function doubtAdmin({ admin, defaults }: CommonConfig, reading: Reading): void {
  if (admin?.actions !== true || admin.listen.kind !== 'tcp') return;
  if (admin.auth !== undefined && isGuarded(override(defaults.auth, admin.auth))) return;
  reading.doubt(
    ['admin', 'actions'],
    'every user and every program of this machine may use it; set auth, or listen on "unix:PATH" with a mode',
  );
}

/** Whether only this machine reaches it. A socket of systemd is as its unit has it. */
function isOwnMachine(address: Address): boolean {
  return address.kind !== 'tcp' || address.host.startsWith('127.') || /^(0*:)*:?0*1$/.test(address.host);
}
