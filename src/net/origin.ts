/** Where a page comes from, in one form (RFC 6454, and the Fetch standard's serialization): scheme, host and port. */
import { type Host, hostText, parseHost } from './host.ts';

export interface Origin {
  /** In lower case; "null" for the origin that has no name. */
  readonly scheme: string;
  /** Without the usual port; undefined for "null", and where there is no host, as in "file://". */
  readonly host: Host | undefined;
  /** The whole, as browsers write it: without the usual port. */
  readonly text: string;
}

const USUAL_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
]);
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/;
/** Of a scheme of an application's own, such as "app://-": whatever its framework has chosen. */
const OWN_HOST = /^[!-~]*$/;
const NOT_IN_HOST = /[/?#@\\*,;"'<>]/;

/** The port that an origin of this scheme has when it names none. */
export function usualPort(scheme: string): number | undefined {
  return USUAL_PORTS.get(scheme);
}

/** An Origin field; undefined for what is no origin, as one with a path or a user is not. */
export function parseOrigin(field: string): Origin | undefined {
  const lower = field.toLowerCase();
  if (lower === 'null') return { scheme: 'null', host: undefined, text: 'null' };
  const [, scheme = '', rest = ''] = SCHEME.exec(lower) ?? [];
  if (scheme === '' || NOT_IN_HOST.test(rest)) return undefined;
  const host = parseHost(rest);
  const usual = usualPort(scheme);
  if (host !== undefined) {
    const port = host.port === usual ? undefined : host.port;
    return {
      scheme,
      host: { ...host, port },
      text: `${scheme}://${hostText(host)}${port === undefined ? '' : `:${port}`}`,
    };
  }
  if (usual !== undefined || !OWN_HOST.test(rest)) return undefined;
  return { scheme, host: undefined, text: `${scheme}://${rest}` };
}
