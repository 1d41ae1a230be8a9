/** The keys that say by which certificate an upstream is trusted, and what they amount to. */
import { readFileSync } from 'node:fs';
import { quote } from '../config/reading/problems.ts';
import { file } from '../config/values/on-disk.ts';
import { text } from '../config/values/simple.ts';
import { listOf } from '../config/values/tables.ts';
import { optional, type ValueType } from '../config/values/value.ts';
import { parseHost } from '../net/host.ts';
import { parseCertificates } from '../tls/chain.ts';
import { readTlsFile, TlsError } from '../tls/tls-file.ts';
import type { ServerIdentity } from './connecting.ts';

/** A file that has certificates in it. */
const authorities: ValueType<string> = {
  ...file,
  read(value, at, reading) {
    const path = file.read(value, at, reading);
    if (path === undefined || 'failed' in reading.disk.look(path)) return path;
    try {
      if (parseCertificates(readTlsFile(path, 'ca'), path, 'ca').length > 0) return path;
      reading.problem(at, `there is no certificate in ${quote(path)}`);
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      reading.problem(at, error.message);
    }
    return undefined;
  },
};

const serverName: ValueType<string> = {
  expected: 'the name of a host such as "camera.lan"',
  json: { type: 'string', pattern: '^[A-Za-z0-9_.-]+$' },
  read(value, at, reading) {
    const host = typeof value === 'string' ? parseHost(value) : undefined;
    if (host?.kind === 'name' && host.port === undefined) return host.name;
    reading.wrong(at, value, this.expected);
    return undefined;
  },
};

const pins = listOf(
  text('a pin such as "sha256//" and 44 characters of base64', /^sha256\/\/[A-Za-z0-9+/]{43}=$/),
  'pins',
);

/** @param which upstream, in words: "an https:// upstream"; @param where the key that has its name */
export function trustKeys(which: string, where: string) {
  return {
    ca: optional(
      authorities,
      `The certificates of the authorities, in PEM, that ${which} is verified by, instead of those that Node.js brings along.`,
    ),
    pin: optional(
      pins,
      `The public keys of which ${which} must show one, as \`curl --pinnedpubkey\` writes them. Without \`ca\` its certificate need not be signed by anybody, and may be for another name.`,
    ),
    server_name: optional(
      serverName,
      `The name that ${which} is asked for in the handshake, and that its certificate must be for. The default is the name in \`${where}\`.`,
    ),
  } as const;
}

export interface TrustConfig {
  readonly ca: string | undefined;
  readonly pin: readonly string[] | undefined;
  readonly server_name: string | undefined;
}

/** @param name of the upstream; undefined for an address. Throws an `Error` for a file of authorities that cannot be read. */
export function serverIdentity({ ca, pin, server_name: asked }: TrustConfig, name: string | undefined): ServerIdentity {
  const servername = asked ?? name;
  return {
    ...(servername === undefined ? {} : { servername }),
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
    pins: pin?.map((pinned) => pinned.slice('sha256//'.length)),
  };
}
