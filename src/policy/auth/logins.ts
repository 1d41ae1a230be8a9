/** What the authentication of all routes shares: the files, the passwords that were right lately, and who got them wrong. */
import { parseHtpasswd, parseTokens } from '../../config/credentials.ts';
import type { AuthConfig } from '../../config/keys/policies.ts';
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { Rates } from '../rate.ts';
import { Auth } from './auth.ts';
import { CredentialFile } from './credential-file.ts';
import { Passwords } from './passwords.ts';

/** How often it is told that requests name users who are not believed, milliseconds. */
const SAY_EVERY = 60_000;

export class Logins {
  private saidAt = Number.NEGATIVE_INFINITY;
  private readonly passwords = new Passwords();
  private readonly failures: Rates;
  private readonly files = new Map<string, CredentialFile>();

  /** @param failedLogins so many at once and within each minute, for each address */
  constructor(
    failedLogins: number,
    private readonly log: Log,
    private readonly forgeries: Tallies['forgeries'],
  ) {
    this.failures = new Rates(failedLogins / 60, failedLogins);
  }

  /**
   * The authentication of one route.
   * @param isShared whether this address may be any number of clients
   */
  auth(config: AuthConfig, isShared: (address: string) => boolean): Auth {
    const { basic, tokens, proxy_secret_file: proxies } = config;
    const { passwords, failures } = this;
    return new Auth(config, {
      passwords,
      failures,
      basic: basic === undefined ? undefined : this.file(basic, parseHtpasswd),
      tokens: tokens === undefined ? undefined : this.file(tokens, parseTokens),
      proxies: proxies === undefined ? undefined : this.file(proxies, parseTokens),
      forged: (reason, address) => this.forged(reason, address, config.proxy_user ?? ''),
      now: () => performance.now(),
      isShared,
    });
  }

  private forged(reason: 'proxy' | 'secret', client: string, field: string): void {
    this.forgeries.add(1, reason);
    const now = performance.now();
    if (now - this.saidAt < SAY_EVERY) return;
    this.saidAt = now;
    this.log.warn(
      `${field} is not believed: it must come once, from an address that connections.trusted_proxies lists, with one X-Proxy-Secret of proxy_secret_file`,
      { client },
    );
  }

  private file(path: string, parse: typeof parseTokens): CredentialFile {
    // One file may be read in two ways: then it is wrong in one of them, and that is told.
    const key = `${parse.name} ${path}`;
    const known = this.files.get(key);
    if (known !== undefined) return known;
    const file = new CredentialFile(path, parse, this.log);
    this.files.set(key, file);
    return file;
  }
}
