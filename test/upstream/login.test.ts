/** Names and passwords for an upstream: the examples of the RFCs, and what cameras ask. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Login, parseLogin } from '../../src/upstream/login.ts';

const challenge = (value: string) => [['www-authenticate', value]] as const;
const field = (authorization: string | undefined, name: string): string | undefined =>
  new RegExp(`[ ,]${name}="?([^",]*)`).exec(authorization ?? '')?.[1];

test('the examples of RFC 7616 section 3.9.1', () => {
  const asks = (algorithm: string) =>
    `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
  const login = new Login('Mufasa', 'Circle of Life', () => 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ');
  assert.equal(login.authorization('GET', '/dir/index.html'), undefined);
  for (const [algorithm, response] of [
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const) {
    assert.equal(login.challenged(challenge(asks(algorithm)), undefined), true);
    const authorization = login.authorization('GET', '/dir/index.html');
    assert.equal(field(authorization, 'response'), response);
    assert.equal(field(authorization, 'nc'), '00000001');
    assert.equal(field(authorization, 'opaque'), 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS');
    assert.equal(field(login.authorization('GET', '/dir/index.html'), 'nc'), '00000002');
  }
  // Both offered: the better one.
  login.challenged([...challenge(asks('MD5')), ...challenge(asks('SHA-256'))], undefined);
  assert.equal(field(login.authorization('GET', '/'), 'algorithm'), 'SHA-256');
});

test('a camera of RFC 2069: no qop, no algorithm', () => {
  const login = new Login('Mufasa', 'CircleOfLife', () => 'unused');
  login.challenged(
    challenge('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'),
    undefined,
  ); // biome-ignore format: one value a line
  const authorization = login.authorization('GET', '/dir/index.html');
  assert.equal(field(authorization, 'response'), '1949323746fe6a43ef61f9606e7febea');
  assert.equal(field(authorization, 'cnonce'), undefined);
});

test('Basic, alone and beside what is not understood', () => {
  for (const asks of ['Basic realm="x"', 'Negotiate, Basic realm="a, b=c"', 'Digest realm="x", nonce="y", algorithm=SHA-512-256, Basic realm="x"', 'basic']) {
    const login = new Login('Aladdin', 'open sesame');
    assert.equal(login.challenged(challenge(asks), undefined), true, asks);
    const sent = login.authorization('GET', '/');
    assert.equal(sent, 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
    assert.equal(login.challenged(challenge(asks), sent), false);
  } // biome-ignore format: one list
  for (const asks of ['Bearer realm="x"', '', 'Digest realm="x"', 'Digest nonce="x", qop="auth-int"'])
    assert.equal(new Login('a', 'b').challenged(challenge(asks), undefined), false, asks);
});

test('a nonce that is stale, or new, is another try; the same again is a refusal', () => {
  const login = new Login('a', 'b');
  const digest = (nonce: string, more = '') => challenge(`Digest realm="x", qop="auth", nonce="${nonce}"${more}`);
  assert.equal(login.challenged(digest('one'), undefined), true);
  const sent = login.authorization('GET', '/');
  assert.equal(login.challenged(digest('one', ', stale=true'), sent), true);
  assert.equal(login.challenged(digest('two'), sent), true);
  assert.equal(login.challenged(digest('two'), sent), false);
});

test('quotes in names and realms, and the first line of a file', () => {
  const login = parseLogin('us"er\\x:pass:word\nmore\n');
  login?.challenged(challenge('Digest realm="a \\"b\\"", nonce="n"'), undefined);
  const sent = login?.authorization('GET', '/');
  assert.match(sent ?? '', /^Digest username="us\\"er\\\\x", realm="a \\"b\\"", /);
  assert.equal(parseLogin('nobody'), undefined);
  assert.equal(parseLogin(':x'), undefined);
});
