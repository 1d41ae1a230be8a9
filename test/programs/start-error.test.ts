/** What a client is answered when what serves its request does not start, is not found or cannot be connected to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileRefusal } from '../../src/files/segments.ts';
import { HttpError } from '../../src/http/errors.ts';
import { TooManyPrograms } from '../../src/process/programs.ts';
import { SpawnError } from '../../src/process/spawn.ts';
import { asStartError } from '../../src/programs/start-error.ts';
import { ConnectError } from '../../src/upstream/connecting.ts';

const SERVER = { kind: 'tcp', host: '127.0.0.1', port: 9000, text: 'tcp://127.0.0.1:9000' } as const;

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: open`), { code });
}

const CASES: readonly (readonly [string, Error, number | undefined])[] = [
  ['too many programs', new TooManyPrograms('8 programs are running already'), 503],
  ['no descriptors left to start it', new SpawnError('/bin/x', 'EMFILE'), 503],
  ['no memory left to start it', new SpawnError('/bin/x', 'ENOMEM'), 503],
  ['a program that is not there', new SpawnError('/bin/x', 'ENOENT'), 502],
  ['no descriptors left to look for it', systemError('EMFILE'), 503],
  ['none in the whole system', systemError('ENFILE'), 503],
  ['a server that nobody has started', new ConnectError(SERVER, 'ECONNREFUSED'), 502],
  ['a server without a name', new ConnectError(SERVER, 'ENOTFOUND'), 502],
  ['a server that does not answer', new ConnectError(SERVER, 'ETIMEDOUT'), 504],
  ['a server whose queue is full', new ConnectError(SERVER, 'EAGAIN'), 503],
  ['no descriptors left to connect with', new ConnectError(SERVER, 'EMFILE'), 503],
  ['a path that is not served', new FileRefusal(404, 'nothing is there'), 404],
  ['another error of the system', systemError('EIO'), undefined],
  ['a mistake of ours', new TypeError('x is not a function'), undefined],
];

for (const [what, error, status] of CASES) {
  test(what, () => {
    const answer = asStartError(error);
    if (status === undefined) {
      assert.equal(answer, error);
      return;
    }
    assert.ok(answer instanceof HttpError);
    assert.equal(answer.status, status);
    assert.equal(
      answer.headers.some(([name]) => name === 'retry-after'),
      status === 503,
    );
  });
}
