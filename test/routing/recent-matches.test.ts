import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalPath } from '../../src/routing/canonical-path.ts';
import { RecentMatches } from '../../src/routing/recent-matches.ts';
import { Router } from '../../src/routing/router.ts';

const router = new Router([{ key: '/', value: 'files' }]);

function matchOf(sent: string) {
  const path = canonicalPath(sent);
  const match = path === undefined ? undefined : router.find('', path);
  assert.ok(match);
  return match;
}

test('what was found is found again by its spelling and its host only', () => {
  const recent = new RecentMatches<string>();
  recent.remember('a.test', '/%61', matchOf('/%61'));
  assert.equal(recent.of('a.test', '/%61')?.path, '/a');
  assert.equal(recent.of('b.test', '/%61'), undefined);
  assert.equal(recent.of('a.test', '/a'), undefined);
});

test('what clients send takes bounded memory: many paths, long ones', () => {
  const recent = new RecentMatches<string>();
  const long = `/${'x'.repeat(200)}`;
  recent.remember('', long, matchOf(long));
  assert.equal(recent.of('', long), undefined);
  for (let at = 0; at < 1000; at++) recent.remember('', `/${at}`, matchOf(`/${at}`));
  const kept = Array.from({ length: 1000 }, (_, at) => recent.of('', `/${at}`)).filter((match) => match !== undefined);
  assert.ok(kept.length > 0 && kept.length <= 256);
});
