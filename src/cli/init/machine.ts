/** What of this machine could be served: folders of CGI programs and pages, what other servers are configured to serve, certificates. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { systemCode } from '../../ops/system-errors.ts';

export interface Found {
  readonly path: string;
  /** Where it was found: "lighttpd serves it", "it is there". */
  readonly because: string;
}

export interface CgiFolder extends Found {
  /** Names of programs in it, in order. */
  readonly programs: readonly string[];
}

export interface WebRoot extends Found {
  readonly entries: readonly string[];
}

export interface CertificateFound {
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
}

export interface Machine {
  readonly cgi: readonly CgiFolder[];
  readonly roots: readonly WebRoot[];
  readonly certificates: readonly CertificateFound[];
  /** Folders that may not be looked into. */
  readonly closed: readonly string[];
  /** Users as whom servers usually run, that there are. */
  readonly users: readonly string[];
}

const CGI_FOLDERS = [
  '/usr/lib/cgi-bin',
  '/var/www/cgi-bin',
  '/www/cgi-bin',
  '/srv/www/cgi-bin',
  '/usr/local/www/cgi-bin',
];
const WEB_ROOTS = [
  '/var/www/html',
  '/srv/http',
  '/www',
  '/srv/www/htdocs',
  '/usr/local/www',
  '/usr/share/nginx/html',
  '/var/www',
];
const CERTIFICATES = '/etc/letsencrypt/live';
const SERVER_USERS = ['www-data', 'http', 'httpd', 'nginx', 'nobody'];

interface Server {
  readonly name: string;
  /** Files, or folders of files. */
  readonly files: readonly string[];
  readonly root: RegExp;
  readonly cgi?: RegExp;
}

/** What is simply found in them: the group that matches is the folder. What variables stand in is not. */
const SERVERS: readonly Server[] = [
  {
    name: 'lighttpd',
    files: ['/etc/lighttpd/lighttpd.conf', '/etc/lighttpd/conf-enabled'],
    // A text that another is added to is only a part of it, and would serve the folder above.
    root: /^\s*server\.document-root\s*=\s*"([^"\\]+)"\s*(?:#.*)?$/gm,
    cgi: /^[^#\n]*"\/cgi-bin\/"\s*=>\s*"([^"\\]+)"\s*[,)\n]/gm,
  },
  {
    name: 'nginx',
    files: ['/etc/nginx/nginx.conf', '/etc/nginx/conf.d', '/etc/nginx/sites-enabled'],
    root: /^(?:[^#\n]*[\s;{])?root\s+(?:"([^"$\\]+)"|'([^'$\\]+)'|([^"';$\\\s]+))\s*;/gm,
  },
  {
    name: 'Apache',
    files: ['/etc/apache2/sites-enabled', '/etc/apache2/httpd.conf', '/etc/httpd/conf/httpd.conf'],
    root: /^\s*DocumentRoot\s+(?:"([^"$\\]+)"|([^"$\s]+))\s*$/gm,
    cgi: /^\s*ScriptAlias\s+\S+\s+(?:"([^"$\\]+)"|([^"$\s]+))\s*$/gm,
  },
  {
    name: 'boa',
    files: ['/etc/boa/boa.conf', '/etc/boa.conf'],
    root: /^\s*DocumentRoot\s+"?([^"\s]+)/gm,
    cgi: /^\s*ScriptAlias\s+\S+\s+"?([^"\s]+)/gm,
  },
  { name: 'thttpd', files: ['/etc/thttpd/thttpd.conf', '/etc/thttpd.conf'], root: /^\s*dir=(\S+)/gm },
  { name: 'BusyBox httpd', files: ['/etc/httpd.conf'], root: /^\s*[Hh]:(\S+)/gm },
  { name: 'uhttpd', files: ['/etc/config/uhttpd'], root: /^\s*option\s+home\s+'?([^'\s]+)/gm },
];

/** More of a folder is not looked at. */
const MOST_ENTRIES = 10_000;
const MOST_BYTES = 1 << 20;

/** @param below what stands for "/": the root of a file system */
export function lookAround(below = '/'): Machine {
  return new Look(below).machine();
}

class Look {
  private readonly closed: string[] = [];

  constructor(private readonly below: string) {}

  machine(): Machine {
    const served = SERVERS.flatMap((server) => this.servedBy(server));
    const usual = (paths: readonly string[]): readonly Found[] =>
      paths.map((path) => ({ path: join(this.below, path), because: 'it is there' }));
    const of = (kind: 'root' | 'cgi'): readonly Found[] => served.filter((one) => one.kind === kind);
    const cgi = unique([...of('cgi'), ...usual(CGI_FOLDERS)]).flatMap((found) => {
      const programs = this.programs(found.path);
      return programs.length === 0 ? [] : [{ ...found, programs }];
    });
    const roots = unique([...of('root'), ...usual(WEB_ROOTS)]).flatMap((found) => {
      const entries = this.entries(found.path).filter((name) => !name.startsWith('.'));
      return entries.length === 0 ? [] : [{ ...found, entries }];
    });
    // What is in one of them need not be served from above.
    const lowest = roots.filter(({ path }) => !roots.some((other) => other.path.startsWith(`${path}/`)));
    const accounts = this.text('/etc/passwd').split('\n');
    return {
      cgi,
      roots: lowest,
      certificates: this.certificates(),
      closed: [...new Set(this.closed)],
      users: SERVER_USERS.filter((name) => accounts.some((line) => line.startsWith(`${name}:`))),
    };
  }

  private servedBy({ name, files, root, cgi }: Server): readonly (Found & { readonly kind: 'root' | 'cgi' })[] {
    return files.flatMap((file) => {
      const inFolder = this.entries(join(this.below, file))
        .sort()
        .map((entry) => join(file, entry));
      const text = [file, ...inFolder].map((path) => this.text(path)).join('\n');
      const found = (kind: 'root' | 'cgi', pattern: RegExp | undefined) =>
        [...(pattern === undefined ? [] : text.matchAll(pattern))].flatMap(([, ...groups]) => {
          const path = groups.find((group) => group !== undefined) ?? '';
          // The whole file system is nothing to propose.
          return path.startsWith('/') && normalize(`${path}/`) !== '/'
            ? [
                {
                  kind,
                  path: join(this.below, path).replace(/(.)\/+$/, '$1'),
                  because: `${name} is configured to serve it`,
                },
              ]
            : [];
        });
      return [...found('root', root), ...found('cgi', cgi)];
    });
  }

  /** Regular files that somebody may execute. */
  private programs(folder: string): readonly string[] {
    return this.entries(folder)
      .filter((name) => {
        const stat = this.stat(join(folder, name));
        return !name.startsWith('.') && stat?.isFile() === true && (stat.mode & 0o111) !== 0;
      })
      .sort();
  }

  private certificates(): readonly CertificateFound[] {
    const live = join(this.below, CERTIFICATES);
    return this.entries(live)
      .sort()
      .map((name) => ({ name, certificate: join(live, name, 'fullchain.pem'), key: join(live, name, 'privkey.pem') }))
      .filter(({ certificate }) => this.stat(certificate)?.isFile() === true);
  }

  private entries(folder: string): string[] {
    try {
      return readdirSync(folder).slice(0, MOST_ENTRIES);
    } catch (error) {
      if (systemCode(error) === 'EACCES') this.closed.push(folder);
      return [];
    }
  }

  private text(path: string): string {
    const file = join(this.below, path);
    const stat = this.stat(file);
    if (stat?.isFile() !== true || stat.size > MOST_BYTES) return '';
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'EACCES') this.closed.push(file);
      return '';
    }
  }

  private stat(path: string) {
    try {
      return statSync(path);
    } catch {
      return undefined;
    }
  }
}

/** Each path once, as it was found first. */
function unique(found: readonly Found[]): readonly Found[] {
  return found.filter(({ path }, at) => found.findIndex((other) => other.path === path) === at);
}
