/** How the gateway's listeners are opened: engine, certificates, limits, counts. */

import type { ListenerConfig } from '../config/keys/listen.ts';
import type { ConnectionsConfig } from '../config/keys/policies.ts';
import { tlsSettings } from '../config/keys/tls.ts';
import { chooseEngine } from '../engine/choose.ts';
import { listenEverywhere } from '../engine/door/listening.ts';
import { type EngineEvents, type ListenAddress, ListenError, type Request } from '../engine/engine.ts';
import { isHttp2Sound } from '../engine/node/http2/limits.ts';
import { CutReply } from '../http/errors.ts';
import type { Assets } from '../ops/assets.ts';
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { type ConnectionGuard, UNGUARDED } from '../policy/connection-guard.ts';
import { findFileOwner } from '../process/confinement/accounts.ts';
import { readSystem } from '../process/confinement/confine.ts';
import type { Certificates } from '../tls/serving/certificates.ts';
import type { ListenerOpener } from './listeners.ts';

export interface OpenerParts {
  readonly assets: Assets;
  /** koffi's exports, where they are loaded. */
  readonly koffi: unknown;
  readonly log: Log;
  readonly tallies: Tallies;
  readonly certificates: Certificates;
  readonly guard: ConnectionGuard;
  /** In force from the start to the end of the process. */
  readonly connections: Pick<ConnectionsConfig, 'header_bytes' | 'header_time' | 'keep_alive'>;
  /** Whether this is the address of a proxy that is trusted now. */
  isProxy(address: string): boolean;
  /** Counts what an engine has refused by itself as a request of its client; whether it may have an answer. */
  countRefused(remoteAddress: string, request: Request | undefined): boolean;
  /** Largest message that a listener has to take, bytes. */
  maxMessage(): number;
  /** The engine that was wanted cannot be had here. */
  slower(reason: string): void;
}

export function listenerOpener(parts: OpenerParts): ListenerOpener {
  const { assets, koffi, log, tallies, certificates, guard } = parts;
  const { header_bytes, header_time, keep_alive } = parts.connections;
  return {
    async prepare({ listen }) {
      const { address, tls, proxy_protocol } = listen;
      // Who is behind a proxy is known to `node` alone, so uWebSockets.js need not be loaded for it.
      const wish = proxy_protocol ? 'node' : listen.engine;
      const { engine, fallback } = await chooseEngine(wish, assets, header_bytes, koffi);
      if (fallback !== undefined) parts.slower(fallback);
      return { engine, store: tls && (await certificates.open(address.text, tlsSettings(tls))) };
    },
    async otherTls(store, { listen: { tls } }) {
      return tls === undefined ? () => undefined : await store.prepare(tlsSettings(tls));
    },
    async open({ listen, admin, deflates }, { engine, store }, serve, inPlaceOf) {
      const name = listen.address.text;
      const events: EngineEvents = {
        ...(admin ? UNGUARDED : guard.of(name, listen.proxy_protocol)),
        exchange: serve,
        refused: (why, client, request) => {
          tallies.refused.add(1, name);
          log.info(`refused: ${why}`, { listener: name, client });
          return parts.countRefused(client, request);
        },
        limited: (sentence) => log.warn(sentence, { listener: name }),
        failed: (error) => {
          if (error instanceof CutReply) return;
          const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
          log.error('internal error', { error: text });
        },
      };
      const maxMessage = parts.maxMessage();
      const options = {
        name,
        address: socketAddress(listen),
        maxHeaderBytes: header_bytes,
        headerTimeout: header_time,
        keepAliveTimeout: keep_alive,
        maxMessage,
        deflates,
        tls: store,
        http2: offersHttp2(listen, log),
        isProxy: listen.proxy_protocol ? parts.isProxy : undefined,
      };
      return {
        listening: await listenEverywhere(engine, options, events, inPlaceOf, (sentence) => log.warn(sentence)),
        maxMessage,
      };
    },
    release: (store) => certificates.release(store),
    gone: (name) => tallies.connections.remove(name),
    lost: (error) => log.error(`a listener has failed: ${error instanceof Error ? error.message : String(error)}`),
  };
}

/** Whether HTTP/2 is wanted, and this Node can be trusted with it. */
function offersHttp2({ address, http2 = false }: ListenerConfig, log: Log): boolean {
  if (!http2 || isHttp2Sound()) return http2;
  const why = `Node ${process.versions.node} can be ended by an HTTP/2 client that leaves at the wrong moment (CVE-2024-27983)`;
  log.warn(`"${address.text}" speaks HTTP/1.1 only: ${why}; 20.12.1 and later can not`);
  return false;
}

/** Where a listener is, with the owner of a Unix socket in numbers. Throws a `ListenError` for a name that nobody has any more. */
function socketAddress({ address, mode, owner, group }: ListenerConfig): ListenAddress {
  if (address.kind !== 'unix') return address;
  if (owner === undefined && group === undefined) return { ...address, mode };
  const found = findFileOwner({ owner, group }, readSystem());
  if ('problems' in found)
    throw new ListenError(address.text, 'UNKNOWN', found.problems.map(({ message }) => message).join('; '));
  return { ...address, mode, ...found };
}
