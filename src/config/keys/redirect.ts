/** The `redirect` of a plain listener. */
import type { ValueType } from '../values/value.ts';

export interface Redirect {
  /** Where the clients find HTTPS; undefined: on the port of the first TLS listener. */
  readonly port: number | undefined;
}

export const redirect: ValueType<Redirect> = {
  expected: '"https", or "https:" and a port',
  json: { type: 'string', pattern: '^https(:[0-9]{1,5})?$' },
  read(value, at, reading) {
    const match = typeof value === 'string' ? /^https(?::(\d{1,5}))?$/.exec(value) : null;
    const port = match?.[1] === undefined ? undefined : Number(match[1]);
    if (match !== null && (port === undefined || (port > 0 && port < 65536))) return { port };
    reading.wrong(at, value, this.expected);
    return undefined;
  },
};
