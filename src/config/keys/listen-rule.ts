/** What must hold between the keys of a listener. */
import type { Rule } from '../values/tables.ts';

/** A socket that systemd has opened can only be taken over by the engine `node`. */
export const socketNeedsNode: Rule = {
  note: 'An address `"systemd:NAME"` is served by the engine `node`.',
  json: {},
  check(value, at, reading) {
    const { address, engine } = value;
    if (engine === 'uws' && typeof address === 'string' && address.startsWith('systemd:'))
      reading.problem([...at, 'engine'], 'cannot be "uws" here: only the engine "node" can take a socket from systemd');
  },
};

/** uWebSockets.js would read a preface of version 2 from everybody, and none of version 1. */
export const proxyNeedsNode: Rule = {
  note: 'With `proxy_protocol` it is served by the engine `node`, too.',
  json: {},
  check(value, at, reading) {
    if (value['proxy_protocol'] === true && value['engine'] === 'uws')
      reading.problem([...at, 'engine'], 'cannot be "uws" here: only the engine "node" serves the PROXY protocol');
  },
};
