import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHtpasswd, parseTokens } from '../../src/config/credentials.ts';

/** "secret", cost 5, by htpasswd -B. */
const HASH = '$2y$05$OfDyM8da3dUpXKrnjzFHeeYAjBqSDeR/lH77nW/oL8O.ps7a3V3IC';
const DIGEST = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b';

describe('password files', () => {
  test('names and hashes; comments and empty lines are left out', () => {
    const { entries, problems } = parseHtpasswd(
      `# people\r\n\r\nann:${HASH}\r\nbob smith:${HASH.replace('2y', '2b')}\n`,
    );
    assert.deepEqual([...entries.keys()], ['ann', 'bob smith']);
    assert.deepEqual(problems, []);
  });
  const BAD: readonly [name: string, line: string, sentence: RegExp][] = [
    ['SHA-1', 'ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', /SHA-1.*htpasswd -B/],
    ['apr1', 'ann:$apr1$abc$defghijklmnop', /MD5.*htpasswd -B/],
    ['crypt', 'ann:rqXexS6ZhobKA', /neither bcrypt/],
    ['plain text', 'ann:secret', /neither bcrypt/],
    ['SHA-512 of the system', 'ann:$6$abc$def', /the system's own/],
    ['cut off', `ann:${HASH.slice(0, -1)}`, /not a whole bcrypt/],
    ['x, which old crypt_blowfish wrote', `ann:${HASH.replace('2y', '2x')}`, /not a whole bcrypt/],
    ['a cost that nobody could pay', `ann:${HASH.replace('$05', '$31')}`, /above 15/],
    ['a cost below what bcrypt has', `ann:${HASH.replace('$05', '$03')}`, /below 4/],
    ['no colon', 'ann', /no ":"/],
    ['no name', `:${HASH}`, /name is empty/],
    ['an escape sequence in the name', `\u001b[31m:${HASH}`, /control characters/],
    ['twice', `ann:${HASH}\nann:${HASH}`, /same name/],
  ];
  for (const [name, text, sentence] of BAD)
    test(`refused: ${name}`, () => {
      const { problems } = parseHtpasswd(text);
      assert.equal(problems.length, 1);
      assert.match(problems[0]?.sentence ?? '', sentence);
      assert.doesNotMatch(problems[0]?.sentence ?? '', /secret|rqXex/);
    });
  test('a bad line does not take the good ones with it', () => {
    const { entries, problems } = parseHtpasswd(`ann:secret\nbob:${HASH}\n`);
    assert.deepEqual([...entries.keys()], ['bob']);
    assert.deepEqual(
      problems.map(({ line }) => line),
      [1],
    );
  });
});

describe('token files', () => {
  test('digests and names, in any case', () => {
    const { entries, problems } = parseTokens(`dashboard:${DIGEST.toUpperCase()}\n`);
    assert.deepEqual([...entries], [[DIGEST, 'dashboard']]);
    assert.deepEqual(problems, []);
  });
  test('a token instead of its digest is not repeated', () => {
    const { problems } = parseTokens('dashboard:my-secret-token\n');
    assert.match(problems[0]?.sentence ?? '', /not a SHA-256/);
    assert.doesNotMatch(problems[0]?.sentence ?? '', /my-secret/);
  });
  test('one token is one name', () =>
    assert.match(parseTokens(`a:${DIGEST}\nb:${DIGEST}`).problems[0]?.sentence ?? '', /same token/));
});
