/** Finds the peers and the tools on this machine, and installs them where asked to. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Of OpenSSL, for the load clients in C. */
export const OPENSSL = '/usr/include/openssl/ssl.h';

/** Program, or file with its path → Debian's package. */
const PACKAGES: { readonly [program: string]: string } = {
  websocketd: 'websocketd',
  lighttpd: 'lighttpd',
  '/usr/lib/lighttpd/mod_openssl.so': 'lighttpd-mod-openssl',
  nginx: 'nginx-light',
  '/usr/lib/nginx/modules/ngx_nchan_module.so': 'libnginx-mod-nchan',
  fcgiwrap: 'fcgiwrap',
  caddy: 'caddy',
  wrk: 'wrk',
  gcc: 'gcc libc6-dev',
  [OPENSSL]: 'libssl-dev',
};

/** Its path; undefined when it is not there. Servers are where ordinary users do not look. */
export function whereIs(program: string): string | undefined {
  if (program.startsWith('/')) return existsSync(program) ? program : undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What of all that the bench can use is missing. */
export function missingPrograms(): string[] {
  return Object.keys(PACKAGES).filter((program) => whereIs(program) === undefined);
}

/** Installs what is missing with apt-get; needs to be root. */
export function installMissing(): void {
  const packages = missingPrograms().flatMap((program) => (PACKAGES[program] ?? '').split(' '));
  if (packages.length === 0) return;
  console.error(`installing ${packages.join(' ')}`);
  // A service that a package starts by itself would disturb, and may want a port that is taken.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const run = (...args: string[]): number | null => spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env }).status;
  if (run('update', '-qq') !== 0 || run('install', '-y', '-qq', '--no-install-recommends', ...packages) !== 0)
    console.error('apt-get failed; what is missing is left out');
}
