/** Command lines of `runnel connect` that are wrong: each is told before anything is asked, without a secret. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSettings } from '../../../src/cli/connect/settings.ts';
import { UsageError } from '../../../src/cli/verb.ts';
import { makeSelfSignedServer } from '../../../src/tls/making/lan.ts';
import { folderWith } from '../../support/gateway.ts';

const URL_OF_STREAM = 'wss://127.0.0.1:1/';

function problem(url: string, flags: { readonly [name: string]: string }, command: readonly string[] = []): string {
  try {
    readSettings(url, command, flags);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return '';
}

test('URLs and proxies that are none', (t) => {
  for (const url of ['foo', 'board.lan/x', 'localhost:8080/live'])
    assert.match(problem(url, {}), /no URL of a stream: it begins with http:/);
  assert.doesNotMatch(problem('ws://user:secret@host:99999/', {}), /secret/);
  assert.match(problem('ws://%zz@127.0.0.1/', {}), /percent-encoded/);
  assert.match(problem(URL_OF_STREAM, { proxy: 'http://%zz@127.0.0.1:1' }), /percent-encoded/);
  const before = process.env['https_proxy'];
  t.after(() => {
    if (before === undefined) delete process.env['https_proxy'];
    else process.env['https_proxy'] = before;
  });
  for (const [value, words] of [
    ['socks5://127.0.0.1:1', /the proxy of the environment: a proxy by socks5: is not supported/],
    ['::::', /the proxy of the environment: the proxy is no URL/],
    ['http://%zz:%zz@127.0.0.1:1', /the proxy of the environment: .*percent-encoded/],
  ] as const) {
    process.env['https_proxy'] = value;
    assert.match(problem(URL_OF_STREAM, {}), words);
    assert.equal(problem(URL_OF_STREAM, { proxy: 'none' }), '');
  }
});

test('flags that do not go together, and values that mean nothing', () => {
  assert.match(problem(URL_OF_STREAM, { plain: '', after: '5' }), /--plain and --after/);
  assert.match(problem(URL_OF_STREAM, { 'token-file': 'a', 'password-file': 'b' }), /--token-file and --password-file/);
  assert.match(problem(URL_OF_STREAM, { 'unix-socket': '' }), /--unix-socket needs a value/);
  assert.match(problem(URL_OF_STREAM, { ping: '1ms' }), /at least 100ms/);
  assert.match(problem(URL_OF_STREAM, {}, ['']), /COMMAND is empty/);
});

test('header fields that cannot be sent are named, and their value is not', (t) => {
  const folder = folderWith(t, { token: 'secr\u0001t\n', headers: 'X-A: \u{1f600}secret\n' });
  const token = problem(URL_OF_STREAM, { 'token-file': join(folder, 'token') });
  assert.match(token, /"authorization" has a character that cannot be sent/);
  assert.doesNotMatch(token, /secr/);
  assert.match(problem(URL_OF_STREAM, { headers: join(folder, 'headers') }), /^the header field "x-a" (?!.*secret)/);
});

test('certificates and keys are looked at before anything is asked', (t) => {
  const [own, other] = [makeSelfSignedServer(['a'], Date.now()), makeSelfSignedServer(['b'], Date.now())];
  const folder = folderWith(t, {
    ...{ none: 'root:x:0:0\n', cert: own.certificate, key: own.key, other: other.key },
    both: own.certificate + own.key,
    broken: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  });
  const of = (flags: { readonly [name: string]: string }): string =>
    problem(URL_OF_STREAM, Object.fromEntries(Object.entries(flags).map(([name, file]) => [name, join(folder, file)])));
  assert.match(of({ ca: 'none' }), /^--ca: there is no certificate in/);
  assert.match(of({ ca: 'broken' }), /^--ca: there is no certificate in/);
  assert.match(of({ 'proxy-ca': 'none' }), /^--proxy-ca: there is no certificate in/);
  assert.match(of({ cert: 'none', key: 'key' }), /^--cert: there is no certificate in/);
  assert.match(of({ cert: 'cert' }), /^--cert: there is no private key in/);
  assert.match(of({ cert: 'cert', key: 'none' }), /^--key: there is no private key in/);
  assert.match(of({ cert: 'cert', key: 'other' }), /^--key: the key in .* is not that of the certificate/);
  assert.match(of({ key: 'key' }), /--key needs --cert/);
  assert.equal(of({ cert: 'cert', key: 'key', ca: 'both' }), '');
  assert.equal(of({ cert: 'both' }), '');
});
