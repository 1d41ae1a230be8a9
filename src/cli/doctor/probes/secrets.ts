/** Files that decide who can sign in: other users of this machine must not read the secret ones, and must not write any. */
import { statSync } from 'node:fs';
import { everyRoute } from '../../../gateway/config.ts';
import type { Finding, Patient } from '../finding.ts';

/** Of everybody who is not the owner and not in the group. */
const OTHERS = { read: 0o004, write: 0o002 } as const;

const LOGIN_FILES = ['basic', 'tokens', 'proxy_secret_file'] as const;

export function probeSecrets({ config, file }: Pick<Patient, 'config' | 'file'>): readonly Finding[] {
  const findings = new Map<string, Finding>();
  const look = (about: string, path: string, isSecret: boolean): void => {
    const mode = modeOf(path);
    if (mode === undefined || findings.has(path)) return;
    if ((mode & OTHERS.write) !== 0)
      findings.set(path, {
        level: 'warning',
        about,
        seen: `every user of this machine may change ${path} (mode ${octal(mode)})`,
        matters: 'a user who changes it decides who can sign in, or which programs run',
        remedy: `run: chmod o-w ${path}`,
      });
    else if (isSecret && (mode & OTHERS.read) !== 0)
      findings.set(path, {
        level: 'warning',
        about,
        seen: `every user of this machine may read ${path} (mode ${octal(mode)})`,
        matters: 'it holds a private key or its passphrase; a user who has that can pose as this server',
        remedy: `run: chmod o-rwx ${path}; the user of the gateway must still be its owner or in its group`,
      });
  };
  look('configuration', file, false);
  for (const { address, tls } of config.listen) {
    if (tls === undefined || tls.made !== undefined) continue;
    for (const { certificate, key, passphrase_file: passphrase } of [tls, ...tls.certificates]) {
      const about = `listen "${address.text}".tls`;
      look(about, key ?? certificate, passphrase === undefined);
      if (passphrase !== undefined) look(about, passphrase, true);
    }
  }
  lookAtLogins('defaults.auth', config.defaults, look);
  lookAtLogins('admin.auth', config.admin, look);
  for (const { kind, key, route } of everyRoute(config)) {
    lookAtLogins(`${kind.name}."${key}".auth`, route, look);
    lookAtLogins(`${kind.name}."${key}".publish.auth`, Reflect.get(route, 'publish'), look);
  }
  return [...findings.values()];
}

/** The files by which users sign in hold no secret: passwords and tokens are hashed in them. */
function lookAtLogins(
  about: string,
  owner: unknown,
  look: (about: string, path: string, isSecret: boolean) => void,
): void {
  const auth: unknown = isObject(owner) ? Reflect.get(owner, 'auth') : undefined;
  if (!isObject(auth)) return;
  for (const name of LOGIN_FILES) {
    const path: unknown = Reflect.get(auth, name);
    if (typeof path === 'string') look(`${about}.${name}`, path, false);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Undefined where there is none, which `check` has said. */
function modeOf(path: string): number | undefined {
  try {
    const { mode } = statSync(path);
    return mode & 0o7777;
  } catch {
    return undefined;
  }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
