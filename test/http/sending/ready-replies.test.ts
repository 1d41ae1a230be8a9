/** Replies that are put together once must never be another client's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reply, Request } from '../../../src/engine/engine.ts';
import { ReadyReplies } from '../../../src/http/sending/ready-replies.ts';
import { Cors } from '../../../src/policy/cors.ts';

const COMMON = [['strict-transport-security', 'max-age=1']] as const;
const OWN = [['x-own', '1']] as const;

function cors(...origins: string[]): Cors {
  return new Cors({ origins, methods: [], headers: [], expose: [], credentials: false, max_age: 0, private_network: false }); // biome-ignore format: one line
}

function request(origin?: string, method = 'GET'): Request {
  return {
    method,
    path: '/',
    query: undefined,
    version: '1.1',
    headers: origin === undefined ? [] : [['origin', origin]],
    remoteAddress: '192.0.2.7',
    remotePort: 50_000,
    listener: { name: 'test', secure: false, port: 8080 },
  };
}

function reply(lasting?: 'whole'): Reply {
  return { status: 200, headers: [['content-type', 'text/plain']], body: 'x', lasting };
}

function allowed({ headers }: Reply): string | undefined {
  return headers.find(([name]) => name === 'access-control-allow-origin')?.[1];
}

test('a lasting reply is made ready once, one that does not last each time; nothing to add is no other reply', () => {
  const ready = new ReadyReplies();
  const off = cors();
  const file = reply('whole');
  const first = ready.of(file, OWN, COMMON, off, request());
  assert.deepEqual(first.headers.map(([name]) => name), ['content-type', 'x-own', 'strict-transport-security']); // biome-ignore format: one line
  assert.equal(first.lasting, 'whole');
  assert.equal(ready.of(file, OWN, COMMON, off, request()), first);
  const page = reply();
  assert.notEqual(ready.of(page, OWN, COMMON, off, request()), ready.of(page, OWN, COMMON, off, request()));
  assert.equal(ready.of(file, [], [], off, request()), file);
});

test('of a reply with a lasting head the fields are put together once, and the body is its own', () => {
  const ready = new ReadyReplies();
  const off = cors();
  const { headers } = reply();
  const said = (body: string): Reply => ready.of({ status: 202, headers, body, lasting: 'head' }, OWN, COMMON, off, request()); // biome-ignore format: one line
  const [first, second] = [said('a'), said('b')];
  assert.equal(first.headers, second.headers);
  assert.deepEqual(first.headers.map(([name]) => name), ['content-type', 'x-own', 'strict-transport-security']); // biome-ignore format: one line
  assert.deepEqual([first.body, second.body, second.status, second.lasting], ['a', 'b', 202, 'head']);
});

test('another route with the same file, and the same route with other origins, get their own', () => {
  const ready = new ReadyReplies();
  const file = reply('whole');
  const listed = cors('https://a.test', 'https://b.test');
  for (let round = 0; round < 2; round++) {
    assert.equal(allowed(ready.of(file, [], [], listed, request('https://a.test'))), 'https://a.test');
    assert.equal(allowed(ready.of(file, [], [], listed, request('https://b.test'))), 'https://b.test');
    assert.equal(allowed(ready.of(file, [], [], listed, request('https://c.test'))), undefined);
    assert.equal(allowed(ready.of(file, [], [], listed, request())), undefined);
    assert.equal(allowed(ready.of(file, OWN, [], cors('*'), request('https://c.test'))), '*');
    assert.equal(allowed(ready.of(file, OWN, [], cors(), request('https://a.test'))), undefined);
  }
});

test('what is asked by OPTIONS is made each time', () => {
  const ready = new ReadyReplies();
  const everybody = cors('*');
  const file = reply('whole');
  assert.notEqual(
    ready.of(file, [], [], everybody, request('https://a.test', 'OPTIONS')),
    ready.of(file, [], [], everybody, request('https://a.test', 'OPTIONS')),
  );
});
