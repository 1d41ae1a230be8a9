/** What is said of a TLS listener before anything is served. Certificates are made on the spot, so these are no golden files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatProblem, type Problem } from '../../../src/config/reading/problems.ts';
import { loadConfig } from '../../../src/gateway/config.ts';
import { Authority, revocationList } from '../../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-config-tls-'));
after(() => rmSync(folder, { recursive: true }));

const authority = new Authority('CA');
const board = authority.server(['board.local', '*.home.test']);
const other = authority.server(['other.test']);
const expired = authority.server(['board.local'], { from: -9, to: -1 });
const secret = 'never shown';
const files: { readonly [name: string]: string } = {
  'board.pem': board.certificate,
  'board.key': board.pem,
  'both.pem': board.pem + board.certificate,
  'other.pem': other.certificate,
  'other.key': other.pem,
  'expired.pem': expired.certificate,
  'expired.key': expired.pem,
  'locked.key': board.key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret })
    .toString(),
  pass: `${secret}\n`,
  wrong: 'wrong\n',
  'ca.pem': authority.certificate,
  'ca.crl': revocationList(authority, []),
  'late.crl': revocationList(authority, [], -1),
  'bad.crl': revocationList(authority, []).replace(/\n.{20}/, '\nAAAA'),
  empty: '',
};
for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);

const ROUTE = '[static."/"]\nroot = "."\n';
const TLS = 'tls = { certificate = "board.pem", key = "board.key" }';

function say(problems: readonly Problem[]): string {
  return problems
    .map((problem) => formatProblem({ ...problem, file: basename(problem.file) }))
    .join('\n')
    .replaceAll(`${folder}/`, '')
    .replaceAll(/\d{4}-\d\d-\d\d/g, 'DAY');
}

/** Loads listeners and routes; the result in words: what is wrong, or what is doubtful, or "ok". */
function loaded(listeners: string, routes = ROUTE): string {
  const file = join(folder, 'runnel.toml');
  writeFileSync(file, `${listeners}\n${routes}`);
  const result = loadConfig(file);
  if (!result.ok) return say(result.problems);
  return result.doubts.length === 0 ? 'ok' : `doubts\n${say(result.doubts)}`;
}

const listen = (rest: string) => `[[listen]]\naddress = ":443"\n${rest}`;

describe('one listener', () => {
  const cases: readonly (readonly [string, string])[] = [
    [TLS, 'ok'],
    ['tls = { certificate = "both.pem" }', 'ok'],
    ['tls = { certificate = "board.pem", key = "locked.key", passphrase_file = "pass" }', 'ok'],
    ['tls = { certificate = "both.pem", client = { ca = "ca.pem", crl = "ca.crl" } }', 'ok'],
    ['tls = { certificate = "both.pem", certificates = [{ certificate = "other.pem", key = "other.key" }] }', 'ok'],
    [`${TLS}\nengine = "node"`, 'ok'],
    ['tls = {}', 'r:3:1: listen[0].tls.certificate: is missing: it must be the path of a file'],
    [
      'tls = true',
      'r:3:1: listen[0].tls: must be a table (got true); write tls = { certificate = "FILE", key = "FILE" }; "runnel tls self-signed NAME" makes both files',
    ],
    [
      'tls = { certificate = "nowhere.pem" }',
      'r:3:9: listen[0].tls.certificate: the file "nowhere.pem" (nowhere.pem) does not exist',
    ],
    [
      'tls = { certificate = "board.pem" }',
      'r:3:9: listen[0].tls.certificate: there is no private key in board.pem, but a certificate: name the file of the private key, too',
    ],
    [
      'tls = { certificate = "board.key", key = "board.pem" }',
      'r:3:9: listen[0].tls.certificate: there is no certificate in board.key, but a private key: name the file of the certificate here',
    ],
    [
      'tls = { certificate = "board.pem", key = "other.key" }',
      'r:3:36: listen[0].tls.key: the key in other.key does not belong to the certificate in board.pem (board.local)',
    ],
    [
      'tls = { certificate = "empty", key = "board.key" }',
      'r:3:9: listen[0].tls.certificate: there is no certificate in empty: PEM begins with "-----BEGIN CERTIFICATE-----"',
    ],
    [
      'tls = { certificate = "board.pem", key = "locked.key" }',
      'r:3:36: listen[0].tls.key: the key in locked.key is encrypted: set passphrase_file, passphrase_env or passphrase_credential',
    ],
    [
      'tls = { certificate = "board.pem", key = "locked.key", passphrase_file = "wrong" }',
      'r:3:56: listen[0].tls.passphrase_file: the passphrase does not open the key in locked.key',
    ],
    [
      'tls = { certificate = "board.pem", key = "locked.key", passphrase_env = "RUNNEL_NO_SUCH" }',
      'r:3:56: listen[0].tls.passphrase_env: the environment variable RUNNEL_NO_SUCH is not set',
    ],
    [
      'tls = { certificate = "board.pem", key = "locked.key", passphrase_file = "pass", passphrase_env = "X" }',
      'r:3:82: listen[0].tls.passphrase_env: cannot be set together with "passphrase_file"',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "empty" } }',
      'r:3:46: listen[0].tls.client.ca: there is no certificate in empty',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "ca.pem", crl = "ca.pem" } }',
      'r:3:61: listen[0].tls.client.crl: there is no revocation list in ca.pem: PEM begins with "-----BEGIN X509 CRL-----"',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "ca.pem", crl = "bad.crl" } }',
      'r:3:61: listen[0].tls.client.crl: revocation list 1 in bad.crl is damaged',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "ca.pem", crl = "late.crl" } }',
      'doubts\nr:3:46: listen[0].tls.client.ca: a revocation list in late.crl expired on DAY: every client is refused until you replace it',
    ],
    [
      'tls = { certificate = "both.pem", ciphers = "old" }',
      'r:3:35: listen[0].tls.ciphers: must be "intermediate" or "modern" (got "old")',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "ca.pem" } }\nengine = "uws"',
      'r:4:1: listen[0].engine: "uws" cannot ask clients for certificates; leave it out, or write "node"',
    ],
    [
      `${TLS}\nredirect = "https"`,
      'r:4:1: listen[0].redirect: cannot be set together with "tls": this listener is HTTPS already',
    ],
    [
      'redirect = "https"',
      'r:3:1: listen[0].redirect: there is no listener with "tls" to send clients to; add one, or name the port where something else serves HTTPS, such as "https:443"',
    ],
    ['redirect = "https:8443"', 'ok'],
    ['redirect = "http"', 'r:3:1: listen[0].redirect: must be "https", or "https:" or "http:" and a port (got "http")'],
    [
      'tls = { certificate = "expired.pem", key = "expired.key" }',
      'doubts\nr:3:9: listen[0].tls.certificate: the certificate for board.local expired on DAY: clients will refuse it',
    ],
    [
      'tls = { certificate = "both.pem", client = { ca = "board.pem" } }',
      'doubts\nr:3:46: listen[0].tls.client.ca: board.local in board.pem is not the certificate of an authority, so no client is accepted by it',
    ],
  ];
  for (const [written, expected] of cases)
    test(written, () => assert.equal(loaded(listen(written)), expected.replaceAll(/^r:/gm, 'runnel.toml:')));
});

describe('certificates and the hosts of routes', () => {
  const two = 'tls = { certificate = "both.pem", certificates = [{ certificate = "other.pem", key = "other.key" }] }';
  const cases: readonly (readonly [what: string, listener: string, hosts: readonly string[], expected: string])[] = [
    ['covered', TLS, ['board.local', 'a.home.test'], 'ok'],
    ['no route has a host', TLS, [''], 'ok'],
    [
      'one is not covered',
      TLS,
      ['', 'else.test'],
      'doubts\nr:3:9: listen[0].tls.certificate: no certificate of this listener is for "else.test", which static."else.test/" serves; there are certificates for "board.local", "*.home.test"',
    ],
    [
      'a certificate for nothing',
      two,
      ['board.local'],
      'doubts\nr:3:53: listen[0].tls.certificates[0].certificate: the certificate is for "other.test", but no route serves any of these hosts',
    ],
  ];
  for (const [what, listener, hosts, expected] of cases)
    test(what, () => {
      const routes = hosts.map((host) => `[static."${host}/"]\nroot = "."\n`).join('');
      assert.equal(loaded(listen(listener), routes), expected.replaceAll(/^r:/gm, 'runnel.toml:'));
    });
});

describe('judged beside the service, to which alone systemd hands passphrases', () => {
  const given = (own: string, credentials: readonly string[], sameEnvironment: boolean): string => {
    const file = join(folder, 'runnel.toml');
    const tls = `tls = { certificate = "board.pem", key = "locked.key", ${own} }`;
    writeFileSync(file, `${listen(tls)}\n${ROUTE}`);
    const service = { sameEnvironment, hasCredential: (name: string) => credentials.includes(name) };
    const result = loadConfig(file, { service });
    return say(result.ok ? result.doubts : result.problems);
  };
  const CLOSED = 'systemd gives it only to the service, so the key was not checked';
  const cases: readonly (readonly [what: string, said: string, expected: RegExp])[] = [
    ['a credential', given('passphrase_credential = "p"', ['p'], false), new RegExp(`credential: ${CLOSED}$`)],
    [
      'one that the unit does not have',
      given('passphrase_credential = "p"', ['q'], false),
      /; and the unit has no LoadCredential=p:… \(systemctl edit runnel\)$/,
    ],
    ['at a reload, which gets none', given('passphrase_credential = "p"', ['p'], true), new RegExp(`${CLOSED}$`)],
    [
      'a variable',
      given('passphrase_env = "NOT_SET_HERE"', [], false),
      /passphrase_env: is not set here, although it may be/,
    ],
    ['a variable at a reload', given('passphrase_env = "NOT_SET_HERE"', [], true), /NOT_SET_HERE is not set$/],
  ];
  for (const [what, said, expected] of cases) test(what, () => assert.match(said, expected));
});
