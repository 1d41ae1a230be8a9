/** `connect`: each client has a connection of its own to a server, made before the client is let in. */
import { Held } from '../../../ownership/held.ts';
import { largestMessage } from '../../keys.ts';
import { usualHistory, usualReplay } from '../../plan.ts';
import { lossCounter } from '../framed.ts';
import type { SourceKind } from '../kind.ts';
import type { StartedSource } from '../source.ts';
import { connectChecks } from './checks.ts';
import { ConnectionSource } from './connection.ts';
import { Connections } from './connections.ts';

export const connectKind: SourceKind = {
  name: 'connect',
  checks: connectChecks,
  usualShare: 'client',
  overrun: 'you send faster than the upstream reads',
  usualReplay,
  usualHistory,
  private({ key, config, framing, counts, log, tallies }) {
    const { connect: target, connect_timeout: timeout, max_connections: max } = config;
    const maxMessage = largestMessage(config);
    const lost = lossCounter(counts, log);
    if (target === undefined) throw new TypeError(`stream "${key}" connects to nothing`);
    const connections = new Connections({
      target,
      timeout,
      max,
      counted: (outcome) => tallies.connects.add(1, key, outcome),
    });
    return {
      async start({ signal }) {
        const socket = (await connections.open(signal)).take();
        if (socket === undefined) throw signal.reason;
        const started: StartedSource = (events) => new ConnectionSource(socket, { framing, maxMessage, lost }, events);
        return new Held(started, () => socket.destroy(), signal);
      },
      close: () => connections.close(),
    };
  },
};
