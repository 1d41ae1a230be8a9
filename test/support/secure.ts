/** TLS for the contract of the engines: the same tests once more, encrypted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectSecure } from 'node:tls';
import { CertificateStore, type StoreEvents } from '../../src/tls/serving/store.ts';
import { Authority } from './certificates.ts';

export const NO_EVENTS: StoreEvents = {
  reloaded: () => undefined,
  failed: () => undefined,
  expiring: () => undefined,
  serving: () => undefined,
};

/** A store with a certificate for board.test. Nothing is left on the disk. */
export async function testStore(): Promise<CertificateStore> {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-tls-'));
  const { certificate, pem } = new Authority().server(['board.test', '127.0.0.1']);
  const file = join(folder, 'both.pem');
  writeFileSync(file, certificate + pem);
  const identity = { certificate: file, key: file, passphrase: undefined };
  const settings = {
    identities: [identity],
    minimumVersion: '1.2',
    ciphers: 'intermediate',
    client: undefined,
  } as const;
  try {
    return await CertificateStore.open(settings, {}, NO_EVENTS);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Target = { readonly host: string; readonly port: number } | { readonly path: string };

/** What trials listen on with TLS: ports and paths. So a test connects to a trial without knowing which row it is in. */
const secure = new Set<number | string>();

/** Also that a place is plain: a port comes back. */
export function markSecure(where: number | string, isSecure: boolean): void {
  if (isSecure) secure.add(where);
  else secure.delete(where);
}

export function isSecure(where: number | string): boolean {
  return secure.has(where);
}

/** A connection that can be written to, encrypted where the trial is. `allowHalfOpen`: it stays open when the server has ended its side. */
export async function connectTo(target: Target, allowHalfOpen = false): Promise<Socket> {
  const encrypted = isSecure('path' in target ? target.path : target.port);
  // In a name of its own, because the types do not know that TLS takes allowHalfOpen, too.
  const options = { ...target, servername: 'board.test', rejectUnauthorized: false, allowHalfOpen };
  const socket = encrypted ? connectSecure(options) : connectPlain({ ...target, allowHalfOpen });
  await new Promise<void>((resolve, reject) => {
    socket.once(encrypted ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}
