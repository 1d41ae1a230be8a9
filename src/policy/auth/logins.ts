/** What the authentication of all routes shares: the files, the passwords that were right lately, and who got them wrong. */
import { parseHtpasswd, parseTokens } from '../../config/credentials.ts';
import type { AuthConfig } from '../../config/keys/policies.ts';
import type { Log } from '../../ops/log.ts';
import { Rates } from '../rate.ts';
import { Auth } from './auth.ts';
import { CredentialFile } from './credential-file.ts';
import { Passwords } from './passwords.ts';

export class Logins {
  private readonly passwords = new Passwords();
  private readonly failures: Rates;
  private readonly files = new Map<string, CredentialFile>();

  /** @param failedLogins so many at once and within each minute, for each address */
  constructor(
    failedLogins: number,
    private readonly log: Log,
  ) {
    this.failures = new Rates(failedLogins / 60, failedLogins);
  }

  /**
   * The authentication of one route.
   * @param isShared whether this address may be any number of clients
   */
  auth(config: AuthConfig, isShared: (address: string) => boolean): Auth {
    const { basic, tokens } = config;
    const { passwords, failures } = this;
    return new Auth(config, {
      passwords,
      failures,
      basic: basic === undefined ? undefined : this.file(basic, parseHtpasswd),
      tokens: tokens === undefined ? undefined : this.file(tokens, parseTokens),
      now: () => performance.now(),
      isShared,
    });
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
