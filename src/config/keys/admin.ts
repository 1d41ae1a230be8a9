/** The keys of the operator's own listener. */
import { hostPattern } from '../values/names.ts';
import { address, boolean } from '../values/simple.ts';
import { listOf, overridesOf, table } from '../values/tables.ts';
import { optional, preset, required, type Values } from '../values/value.ts';
import { fileNeedsPath, socketFile } from './listen.ts';
import { AUTH_EXAMPLE, auth } from './policies.ts';

export const admin = table(
  {
    listen: required(
      address,
      'Where the status page, `/status.json`, `/metrics`, `/healthz` and `/readyz` are served. `runnel status` finds the gateway by it. An address that other machines reach needs `auth`.',
    ),
    ...socketFile,
    hosts: preset(
      listOf(hostPattern, 'hosts'),
      [],
      'The hosts that it answers for, in addition to addresses such as 192.168.1.7 and the names of localhost. Requests with another Host get 421. So a page of another site whose name points to this machine cannot read it (DNS rebinding). "*" means any host.',
    ),
    auth: optional(
      overridesOf(auth, AUTH_EXAMPLE),
      'The users who may see it. Keys that are not set are as in `[defaults]`. Without this key every client that reaches the address may see it. `/healthz` and `/readyz` are open to all; with `auth` they say only yes or no.',
    ),
    actions: preset(
      boolean,
      false,
      'Whether users who may see the page may also reload, end programs and connections, take listeners down for maintenance, and try streams. Each action is logged.',
    ),
  },
  fileNeedsPath('listen'),
  'admin = { listen = "127.0.0.1:9180" }',
);

export type AdminConfig = Values<(typeof admin)['fields']>;
