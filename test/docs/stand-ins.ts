/** What the configurations of the pages name and this machine has not: folders, programs, certificates, files of passwords. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { realDisk } from '../../src/config/disk/disk.ts';
import { parseToml } from '../../src/config/reading/toml.ts';
import { isTable, type RawTable } from '../../src/config/values/tables.ts';
import { parseConfig } from '../../src/gateway/config.ts';
import { Authority, revocationList } from '../support/certificates.ts';

/** bcrypt of "secret", with the least work that is taken. */
const PASSWORD_LINE = 'ann:$2b$04$Q58lVHC/IAjnIvmtZTfyLezKwPWZVeDySo4ZMzQwTN9yVcAdHHbAe\n';
const TOKEN_LINE = `kitchen:${'0123456789abcdef'.repeat(4)}\n`;
const LISTENER = '[[listen]]\naddress = "127.0.0.1:0"\n';
const ROUTE = '[static."/of-the-test/"]\nroot = "."\n';
const PROGRAMS = '[cgi."/cgi-bin/"]\nroot = "cgi-bin"\n';
/** Where a page names a place of the whole machine, it is one below the folder of the test. */
const PLACES = /(["':])\/(etc|var|srv|usr|run|home|opt|dev|tmp)\//g;

/** The problems and the warnings of a configuration, each on a line; "" for none. What it names is made in `folder`. */
export function checkText(toml: string, folder: string): string {
  const text = toml
    .replaceAll(PLACES, (_all, before: string, place: string) => `${before}${folder}/${place}/`)
    .replaceAll('sha256//…', `sha256//${'A'.repeat(43)}=`)
    .replaceAll('"…"', '"of-the-test"');
  const attempts = completions(text).map((complete) => judge(complete, folder));
  return attempts.includes('') ? '' : (attempts[0] ?? '');
}

/** A part of a configuration as the whole that it may be a part of. */
function completions(text: string): readonly string[] {
  const listener = text.includes('[[listen]]') ? '' : LISTENER;
  const isRoute = /^ *\[(static|cgi|fastcgi|stream|proxy|redirect|status)\./m.test(text);
  const programs = text.includes('"/cgi-bin/') && !text.includes('[cgi.') ? PROGRAMS : '';
  const whole = `${listener}${text}\n${programs}${isRoute ? '' : ROUTE}`;
  // Keys without a table: those of a listener, or those of a stream.
  if (!/^ *[\w-]+ *=/.test(text.replace(/^(\s*#.*\n|\s*\n)*/, ''))) return [whole];
  return [
    `${LISTENER}${text}${ROUTE}`,
    `${LISTENER}[stream."/of-the-test"]\nsubscribe = "https://of.the.test/"\n${text}`,
  ];
}

function judge(text: string, folder: string): string {
  const parsed = parseToml(text);
  if (parsed.ok) {
    make(parsed.table, folder);
    makePolled(parsed.table, folder);
  }
  const disk = realDisk(`${process.env['PATH'] ?? ''}:${join(folder, 'bin')}`);
  const result = parseConfig(Buffer.from(text), 'runnel.toml', { directory: folder, disk });
  return (result.ok ? result.doubts : result.problems)
    .map(
      ({ line, path, message, hint }) =>
        `line ${line ?? '?'}: ${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`,
    )
    .join('\n');
}

/** Makes what a table and the tables in it name. */
function make(table: RawTable, folder: string): void {
  for (const [key, value] of Object.entries(table)) {
    if (Array.isArray(value)) {
      if (key === 'command' || key === 'poll') program(String(value[0]), folder);
      else for (const entry of value) if (isTable(entry)) make(entry, folder);
    } else if (isTable(value)) {
      make(value, folder);
      if (key === 'interpreters') for (const name of Object.values(value)) program(String(name), folder);
    } else if (typeof value === 'string') makeNamed(key, value, folder);
  }
  const { root, fallback, error_pages: pages } = table;
  if (typeof root !== 'string') return;
  const names = [fallback, ...(isTable(pages) ? Object.values(pages) : [])];
  for (const name of names) if (typeof name === 'string') write(resolve(folder, root, name), 'a page\n');
}

function makeNamed(key: string, value: string, folder: string): void {
  const path = resolve(folder, value);
  const content = CONTENT.get(key);
  if (key === 'root' || key === 'directory') mkdirSync(path, { recursive: true });
  else if (content !== undefined) write(path, content());
  // The keys of the log and of a history name a file that may be missing; everywhere else `file` is a secret.
  else if (key === 'file') write(path, /\.(log)$|notes$/.test(path) ? undefined : 'a-secret\n');
  else if (/^unix:/.test(value)) mkdirSync(dirname(value.slice('unix:'.length)), { recursive: true });
}

/** The CGI programs that streams poll. */
function makePolled({ cgi, stream }: RawTable, folder: string): void {
  if (!isTable(cgi) || !isTable(stream)) return;
  for (const { poll } of Object.values(stream).filter(isTable))
    for (const [path, route] of Object.entries(cgi))
      if (typeof poll === 'string' && poll.startsWith(path) && isTable(route) && typeof route['root'] === 'string')
        program(join(resolve(folder, route['root']), poll.slice(path.length).replace(/\?.*/, '')), folder);
}

const authority = new Authority();
const server = authority.server(['board.test']);
const CONTENT: ReadonlyMap<string, () => string> = new Map([
  ['certificate', () => server.certificate],
  ['key', () => server.pem],
  ['ca', () => authority.certificate],
  ['crl', () => revocationList(authority, [])],
  ['basic', () => PASSWORD_LINE],
  ['tokens', () => TOKEN_LINE],
  ['login', () => 'ann:secret\n'],
  ['proxy_secret_file', () => TOKEN_LINE],
]);

function program(name: string, folder: string): void {
  if (realDisk().searchPath.some((place) => !name.includes('/') && existsSync(join(place, name)))) return;
  const path = name.includes('/') ? resolve(folder, name) : join(folder, 'bin', name);
  write(path, '#!/bin/sh\n');
  chmodSync(path, 0o755);
}

/** @param content undefined: only the folder is made */
function write(path: string, content: string | undefined): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content !== undefined) writeFileSync(path, content);
}
