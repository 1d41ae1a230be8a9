/** What a TLS listener is told: files and policies. */
import type { ClientAuthorityFiles } from '../client-authority.ts';
import type { IdentityFiles } from '../identity.ts';
import { type Environment, passphraseFile } from '../passphrase.ts';
import type { CipherPolicy, MinimumVersion } from './suites.ts';

export interface TlsSettings {
  /** The first is what clients get that name no host, or one that no certificate is for. */
  readonly identities: readonly [IdentityFiles, ...IdentityFiles[]];
  readonly minimumVersion: MinimumVersion;
  readonly ciphers: CipherPolicy;
  readonly client: ClientAuthorityFiles | undefined;
}

/** Every file that the settings name, each once: a change in any of them means reading all of them anew. */
export function filesOf(settings: TlsSettings, environment: Environment): readonly string[] {
  const files = settings.identities.flatMap(({ certificate, key, passphrase, made }) =>
    made !== undefined
      ? []
      : [certificate, key, ...(passphrase === undefined ? [] : [passphraseFile(passphrase, environment)])],
  );
  const { client } = settings;
  return [...new Set([...files, client?.ca, client?.crl].filter((path) => path !== undefined))];
}
