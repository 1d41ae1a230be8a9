/** What starts the source of a stream with `connect`: a connection for one client, made before the client is let in. */

import type { Call } from '../../../http/handler.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import { Held } from '../../../ownership/held.ts';
import type { Framing } from '../../framing.ts';
import type { StreamConfig } from '../../keys.ts';
import type { Connect, PrivateParts } from '../../private-stream.ts';
import { ConnectionSource } from './connection.ts';
import { Connections } from './connections.ts';

/** @returns the parts of a `PrivateStream` that are about the server behind it */
export function connectParts(
  key: string,
  target: NonNullable<StreamConfig['connect']>,
  config: Pick<StreamConfig, 'connect_timeout' | 'max_connections' | 'max_message'>,
  parts: { readonly tallies: Tallies; readonly framing: Framing },
): Pick<PrivateParts, 'start' | 'close'> {
  const { tallies, framing } = parts;
  const connections = new Connections({
    target,
    timeout: config.connect_timeout,
    max: config.max_connections,
    counted: (outcome) => tallies.connects.add(1, key, outcome),
  });
  return {
    async start({ signal }: Call) {
      const socket = (await connections.open(signal)).take();
      if (socket === undefined) throw signal.reason;
      const connect: Connect = (events) =>
        new ConnectionSource(socket, { framing, maxMessage: config.max_message }, events);
      return new Held(connect, () => socket.destroy(), signal);
    },
    close: () => connections.close(),
  };
}
