import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownFolders, pidOfSocket, searchedFolders, socketName } from '../../../src/gateway/control/folders.ts';
import { parseIdentity, parseRequest } from '../../../src/gateway/control/protocol.ts';
import { folderWith } from '../../support/gateway.ts';

const paths = (facts: Parameters<typeof ownFolders>[0]) => ownFolders(facts).map(({ path }) => path);

test('a gateway takes the folder of its service, of its user, or one in /tmp', () => {
  assert.deepEqual(paths({ uid: 0, env: {} }), ['/run/runnel-0', '/tmp/runnel-0']);
  assert.deepEqual(paths({ uid: 7, env: { XDG_RUNTIME_DIR: '/run/user/7' } }), ['/run/user/7/runnel', '/tmp/runnel-7']);
  assert.deepEqual(paths({ uid: 7, env: { RUNTIME_DIRECTORY: '/run/a:/run/b', XDG_RUNTIME_DIR: 'x' } }), [
    '/run/a',
    '/tmp/runnel-7',
  ]);
});

test('root looks at everybody, others at their own and at services', (t) => {
  const root = folderWith(t, { 'run/user/7/x': '', 'tmp/runnel-8/x': '', 'tmp/runnel-test/x': '' });
  const searched = (uid: number) =>
    searchedFolders({ uid, env: {}, root }, ['edge']).map((path) => path.slice(root.length));
  assert.deepEqual(searched(0), [
    '/run/runnel-0',
    '/tmp/runnel-0',
    '/run/runnel',
    '/run/edge',
    '/run/user/7/runnel',
    '/tmp/runnel-8',
  ]);
  assert.deepEqual(searched(7), ['/tmp/runnel-7', '/run/runnel', '/run/runnel-0', '/run/edge', '/run/user/7/runnel']);
});

test('names of sockets', () => {
  assert.equal(pidOfSocket(socketName(12, 0)), 12);
  assert.equal(pidOfSocket(socketName(12, 3)), 12);
  for (const name of ['x.sock', '12', '12.sock.old', '-1.sock']) assert.equal(pidOfSocket(name), undefined, name);
});

test('what is no request and no identity is none', () => {
  for (const line of ['', '{', 'null', '[]', '{"do":"x"}', '{"do":"stop","within":-1}', '{"do":"stop","within":"1"}'])
    assert.equal(parseRequest(line), undefined, line);
  assert.deepEqual(parseRequest('{"do":"stop","within":5}'), { do: 'stop', within: 5 });
  for (const line of ['', '{}', '{"pid":1,"user":0}', '{"pid":"1","user":0,"config":"/x"}'])
    assert.equal(parseIdentity(line), undefined, line);
});
