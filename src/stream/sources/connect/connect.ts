/** What starts the source of a stream with `connect`: a connection for one client, made before the client is let in. */
import type { StreamConfig } from '../../../config/schema.ts';
import { HttpError } from '../../../http/errors.ts';
import type { Call } from '../../../http/handler.ts';
import type { Tallies } from '../../../ops/tallies.ts';
import { Held } from '../../../ownership/held.ts';
import { noRoom } from '../../../programs/start-error.ts';
import type { Framing } from '../../framing.ts';
import type { Connect, PrivateParts } from '../../private-stream.ts';
import { ConnectionSource } from './connection.ts';
import { ConnectError, Connections } from './connections.ts';

/** @returns the parts of a `PrivateStream` that are about the server behind it */
export function connectParts(
  key: string,
  target: NonNullable<StreamConfig['connect']>,
  config: Pick<StreamConfig, 'connect_timeout' | 'max_connections' | 'max_message'>,
  parts: { readonly tallies: Tallies; readonly framing: Framing },
): Pick<PrivateParts, 'start' | 'close'> {
  const connections = new Connections({ target, timeout: config.connect_timeout, max: config.max_connections });
  const { tallies, framing } = parts;
  return {
    async start({ signal }: Call) {
      try {
        const socket = await connections.open(signal);
        tallies.connects.add(1, key, 'connected');
        const connect: Connect = (events) =>
          new ConnectionSource(socket, { framing, maxMessage: config.max_message }, events);
        return new Held(connect, () => socket.destroy(), signal);
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        tallies.connects.add(1, key, error.failure);
        throw asHttpError(error);
      }
    },
    close: () => connections.close(),
  };
}

/** The status with which a client is refused (RFC 9110 section 15.6): 504 for a server that did not answer, 502 for one that cannot be had. */
function asHttpError(error: ConnectError): HttpError {
  if (error.passing) return noRoom(error.message);
  switch (error.failure) {
    case 'timeout':
      return new HttpError(504, error.message);
    case 'left':
      return new HttpError(499, error.message);
    default:
      return new HttpError(502, error.message);
  }
}
