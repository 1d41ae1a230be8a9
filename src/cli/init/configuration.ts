/** What was found on a machine, as a configuration with its reasons. */
import { parseConfig } from '../../gateway/config.ts';
import type { TakenPort } from '../../ops/system/ports.ts';
import { visible } from '../../ops/visible.ts';
import type { CertificateFound, CgiFolder, Machine, WebRoot } from './machine.ts';

/** A part of the file: why it is there, and what is there. */
interface Section {
  /** Lines without "#". */
  readonly reasons: readonly string[];
  /** Lines of TOML, of which some may be comments. */
  readonly toml: readonly string[];
  /** Why it cannot be used as it is: then it is a comment. */
  readonly off?: string;
}

const PORTS = { http: 8080, https: 8443 };
const USUAL = { http: 80, https: 443 };
const EXAMPLES = 3;
/** From here on Linux gives ports to whoever asks for any. */
const FIRST_EPHEMERAL = 32_768;
const MOST_PORTS = 20;

/** A configuration that `check` accepts on this machine. What it would not accept is a comment that says why. */
export function writeConfiguration(machine: Machine, taken: readonly TakenPort[]): string {
  let sections = sectionsFor(machine, taken);
  // Each round turns what is wrong into comments; then there is less that can be wrong.
  for (let round = 0; round <= sections.length; round++) {
    const result = parseConfig(Buffer.from(render(sections)), 'runnel.toml', { directory: '/' });
    if (result.ok) break;
    const problems = result.problems.map(({ line, message }) => ({
      at: line === undefined ? -1 : sectionAt(sections, line),
      message,
    }));
    const before = sections;
    sections = sections.map((section, at) => {
      const problem = problems.find((each) => each.at === at);
      return problem === undefined || section.off !== undefined || section.toml.length === 0
        ? section
        : { ...section, off: problem.message };
    });
    if (sections.every((section, at) => section === before[at])) break;
  }
  // Something has to be served.
  const serves = sections.some(
    ({ toml, off }) => off === undefined && toml.some((line) => /^\[(static|cgi|stream)\./.test(line)),
  );
  return render(serves ? [...sections, asComment(liveSection())] : [...sections, liveSection()]);
}

function sectionsFor(machine: Machine, taken: readonly TakenPort[]): readonly Section[] {
  const [root, ...otherRoots] = machine.roots;
  const [cgi, ...otherCgi] = machine.cgi;
  return [
    headSection(machine),
    listenSection(taken),
    ...machine.certificates.slice(0, 1).map((certificate) => tlsSection(certificate, machine, taken)),
    ...(root === undefined
      ? [noneSection('pages', 'static."/"', 'root = "/srv/pages"')]
      : [staticSection(root, otherRoots)]),
    ...(cgi === undefined
      ? [noneSection('CGI programs', 'cgi."/cgi-bin/"', 'root = "/usr/lib/cgi-bin"')]
      : [cgiSection(cgi, otherCgi, machine.users)]),
    adminSection(taken),
  ];
}

function headSection({ closed }: Machine): Section {
  return {
    reasons: [
      'A configuration of runnel for this machine, by "runnel init". Nothing was started and nothing written.',
      '',
      '  runnel init > runnel.toml      keep it',
      '  runnel check                   see whether it is right, after every change',
      '  runnel serve                   run it',
      '',
      'docs/configuration.md has every key.',
      ...(closed.length === 0
        ? []
        : [
            '',
            `Not looked at, because you may not read it: ${closed.map(visible).join(', ')}. "sudo runnel init" may.`,
          ]),
    ],
    toml: [],
  };
}

function listenSection(taken: readonly TakenPort[]): Section {
  const port = freePort(PORTS.http, taken);
  const known = taken.filter((each) => each.port < FIRST_EPHEMERAL).slice(0, MOST_PORTS);
  const web = taken.find((each) => each.port === USUAL.http);
  return {
    reasons: [
      'Where it listens: for this machine alone, so that nothing is open before you have looked.',
      `":${port}" instead means every address of this machine.`,
      web === undefined
        ? `Port ${USUAL.http} is free: ":${USUAL.http}" needs root, or the service of the package.`
        : `Port ${USUAL.http} is taken by ${programOf(web)}: stop that first if runnel is to take its place.`,
      ...(port === PORTS.http
        ? []
        : [`Port ${PORTS.http} is taken by ${programOf(taken.find((each) => each.port === PORTS.http))}.`]),
      ...(known.length === 0 ? [] : [`Ports taken now: ${known.map(nameOf).join(', ')}.`]),
    ],
    toml: ['[[listen]]', `address = "127.0.0.1:${port}"`],
  };
}

function tlsSection(found: CertificateFound, { certificates }: Machine, taken: readonly TakenPort[]): Section {
  const others = certificates.slice(1).map(({ name }) => visible(name));
  return {
    reasons: [
      `HTTPS with the certificate for ${visible(found.name)} that certbot keeps; a renewed one is served by itself.`,
      'The user of the gateway has to be able to read the key: docs/tls.md says how.',
      ...(others.length === 0
        ? []
        : [`There are certificates for ${others.join(', ')} too: certificates = [{ certificate = …, key = … }]`]),
    ],
    toml: [
      '[[listen]]',
      `address = "127.0.0.1:${freePort(PORTS.https, taken)}"`,
      `tls = { certificate = ${quoted(found.certificate)}, key = ${quoted(found.key)} }`,
    ],
  };
}

function staticSection(root: WebRoot, others: readonly WebRoot[]): Section {
  const index = ['index.html', 'index.htm'].filter((name) => root.entries.includes(name));
  const php = root.entries.some((name) => name.endsWith('.php'));
  return {
    reasons: [
      `Pages: ${visible(root.path)}, because ${root.because}.`,
      ...(index.length === 0 ? ['It has no index.html: "/" is refused, unless folders are listed.'] : []),
      ...(php
        ? [
            'It has PHP files: their source is not to be served. A route [fastcgi."/"] with php-fpm runs them; see docs/cgi.md.',
          ]
        : []),
      ...others.map(({ path, because }) => `Another folder of pages is ${visible(path)}: ${because}.`),
    ],
    toml: [
      '[static."/"]',
      `root = ${quoted(root.path)}`,
      ...(index[0] === 'index.htm' ? ['index = ["index.htm"]'] : []),
      ...(index.length === 0 ? ['# listing = true'] : []),
    ],
    ...(php ? { off: 'it has PHP files, whose source anybody could read' } : {}),
  };
}

function cgiSection(cgi: CgiFolder, others: readonly CgiFolder[], users: readonly string[]): Section {
  const { programs } = cgi;
  const [user] = users;
  const names = programs.slice(0, EXAMPLES).map(visible).join(', ');
  return {
    reasons: [
      `CGI programs: ${visible(cgi.path)}, because ${cgi.because}. It has ${names}${programs.length > EXAMPLES ? ` and ${programs.length - EXAMPLES} more` : ''}.`,
      'Whoever reaches the listener can start them: look at what they do before you open it.',
      ...others.map(({ path, because }) => `Another folder of programs is ${visible(path)}: ${because}.`),
    ],
    toml: [
      '[cgi."/cgi-bin/"]',
      `root = ${quoted(cgi.path)}`,
      ...(user === undefined ? [] : [`# user = "${user}"             # as whom they run, where the gateway is root's`]),
    ],
  };
}

function noneSection(what: string, table: string, key: string): Section {
  return asComment({ reasons: [`No ${what} were found in the usual folders.`], toml: [`[${table}]`, key] });
}

function adminSection(taken: readonly TakenPort[]): Section {
  return asComment({
    reasons: ['/metrics and /healthz, for this machine alone.'],
    toml: ['[admin]', `listen = "127.0.0.1:${freePort(9180, taken)}"`],
  });
}

function liveSection(): Section {
  return {
    reasons: ['A live stream: the load of this machine, each second. All viewers share one program.'],
    toml: [
      '[stream."/live/load"]',
      'command = ["sh", "-c", "while cat /proc/loadavg; do sleep 1; done"]',
      'share = "all"',
      'read_only = true',
    ],
  };
}

/** Only shown, without anything wrong in it. */
function asComment(section: Section): Section {
  return { ...section, off: '' };
}

function freePort(from: number, taken: readonly TakenPort[]): number {
  let port = from;
  while (taken.some((each) => each.port === port)) port++;
  return port;
}

function nameOf({ port, program }: TakenPort): string {
  return program === undefined ? String(port) : `${port} (${visible(program)})`;
}

function programOf(taken: TakenPort | undefined): string {
  return taken?.program === undefined ? 'another program' : visible(taken.program);
}

/** A basic string. JSON's notation is TOML's, but for DEL. */
function quoted(path: string): string {
  return JSON.stringify(path).replaceAll('\x7f', '\\u007F');
}

function render(sections: readonly Section[]): string {
  return sections.map((section) => `${linesOf(section).join('\n')}\n`).join('\n');
}

function linesOf({ reasons, toml, off }: Section): readonly string[] {
  const comment = (line: string): string => `# ${line}`.trimEnd();
  return [
    ...reasons.map(comment),
    ...(off === undefined || off === '' ? [] : [comment(`Not used as it is: ${visible(off)}.`)]),
    ...(off === undefined ? toml : toml.map(comment)),
  ];
}

/** Which section a line of the whole is in; lines count from 1. */
function sectionAt(sections: readonly Section[], line: number): number {
  let end = 0;
  for (const [at, section] of sections.entries()) {
    end += linesOf(section).length + 1;
    if (line <= end) return at;
  }
  return -1;
}
