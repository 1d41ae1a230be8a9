/** What is served with: for OpenSSL one context for each certificate, and which of them a client gets. */
import { constants, createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { type ClientAuthority, loadClientAuthority } from '../client-authority.ts';
import { type Identity, isValidAt, loadIdentity } from '../identity.ts';
import { findByName } from '../names.ts';
import type { Environment } from '../passphrase.ts';
import { TlsError } from '../tls-file.ts';
import { isOrdinary } from './ordinary.ts';
import type { TlsSettings } from './settings.ts';
import { only13, policyOptions } from './suites.ts';

/** One certificate with its key and the policy that it is served with. Immutable. */
export interface ServedIdentity {
  /** Equal for what serves the same: chain, key and policy. */
  readonly digest: string;
  /** What a person calls it. */
  readonly title: string;
  /** PEM, in the order in which it is sent. */
  readonly chain: string;
  /** Decrypted. */
  readonly key: KeyObject;
  /** TLS 1.3 and nothing older. */
  readonly only13: boolean;
}

/** Makes one of OpenSSL's contexts: node:tls's own, which takes 2 MiB of memory to load. */
export type MakeContext = (options: SecureContextOptions) => SecureContext;

/** One consistent reading of all files. Immutable: a reload makes another. */
export class Contexts {
  private constructor(
    /** Equal for what serves the same. */
    readonly digest: string,
    readonly identities: readonly Identity[],
    /** Of each certificate. */
    private readonly options: readonly SecureContextOptions[],
    private readonly served: readonly ServedIdentity[],
  ) {}

  /** Those that were made. */
  private readonly contexts = new Map<number, SecureContext>();

  /** Rejects with a `TlsError`. */
  static async load(settings: TlsSettings, environment: Environment): Promise<Contexts> {
    const identities = settings.identities.map((files) => loadIdentity(files, environment));
    const client = settings.client === undefined ? undefined : loadClientAuthority(settings.client, Date.now());
    const options = identities.map((identity) => contextOptions(settings, identity, client));
    // OpenSSL is asked only where it could refuse: most listeners never need node:tls.
    const doubtful = identities.flatMap((identity, index) =>
      client === undefined && isOrdinary(identity) ? [] : [index],
    );
    if (doubtful.length > 0) {
      const { createSecureContext } = await import('node:tls');
      for (const index of doubtful)
        probe(createSecureContext, options[index] ?? {}, settings.identities[index]?.certificate ?? '');
    }
    const served = identities.map((identity, index) => ({
      digest: digestOf(options[index]),
      title: identity.title,
      chain: identity.chain.map(String).join(''),
      key: identity.key,
      only13: only13(settings.ciphers, settings.minimumVersion),
    }));
    return new Contexts(digestOf(options), identities, options, served);
  }

  /** Of the first certificate, for the server itself. */
  get defaults(): SecureContextOptions {
    return this.options[0] ?? {};
  }

  /** For a client that names `host`; undefined when no certificate is for it: the default is to be used. */
  find(host: string, make: MakeContext): SecureContext | undefined {
    const index = this.indexFor(host);
    const options = index === undefined ? undefined : this.options[index];
    if (index === undefined || options === undefined) return undefined;
    const context = this.contexts.get(index) ?? make(options);
    this.contexts.set(index, context);
    return context;
  }

  /** The same choice, without OpenSSL's context, and with the default. */
  identityFor(host: string | undefined): ServedIdentity | undefined {
    return this.served[(host === undefined ? undefined : this.indexFor(host)) ?? 0];
  }

  private indexFor(host: string): number | undefined {
    return findByName(
      this.identities.map(({ names }) => names),
      host,
    );
  }

  /** The first certificate of any chain that is not valid at `now`. */
  invalidAt(now: number): { readonly identity: Identity; readonly certificate: X509Certificate } | undefined {
    for (const identity of this.identities) {
      const certificate = identity.chain.find((each) => !isValidAt(each, now));
      if (certificate !== undefined) return { identity, certificate };
    }
    return undefined;
  }
}

function contextOptions(
  settings: TlsSettings,
  identity: Identity,
  client: ClientAuthority | undefined,
): SecureContextOptions {
  const policy = policyOptions(settings.ciphers, settings.minimumVersion);
  return {
    ...policy,
    cert: identity.chain.map(String).join(''),
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    ...(client === undefined
      ? {}
      : {
          ca: [...client.ca],
          ...(client.crl.length === 0 ? {} : { crl: [...client.crl] }),
          // A resumed session is not verified again: a revoked certificate would be good for as long as its ticket.
          secureOptions: (policy.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET,
        }),
  };
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function probe(make: MakeContext, options: SecureContextOptions, path: string): void {
  try {
    make(options);
  } catch (error) {
    const detail = error instanceof Error ? error.message.replace(/^error:[0-9A-F]+:/, '') : String(error);
    throw new TlsError('certificate', `OpenSSL refuses ${path}: ${detail}`, { cause: error });
  }
}
