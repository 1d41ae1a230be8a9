/** A little of the fuzzing in every run, always with other cases; `npm run fuzz` does a million. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBoth } from '../support/both-engines.ts';
import { rawRequest } from '../support/raw.ts';
import { hunt } from './hunt.ts';
import { Chance } from './mutate.ts';
import { anyPath, spelled } from './spellings.ts';
import { TARGETS } from './targets.ts';
import { sendRubbish } from './wire.ts';

const start = Math.floor(Date.now() / 1000) % 1_000_000_000;

for (const target of TARGETS) {
  test(`fuzz: ${target.name}`, (t) => {
    const { cases } = hunt(target, start, { cases: 20_000, milliseconds: 1500 });
    assert(cases > 0);
    t.diagnostic(`${cases} cases from ${start}`);
  });
}

for (const engine of ['auto', 'uws', 'node'] as const) {
  test(`fuzz: what comes over the wire, ${engine}`, async (t) => {
    const { cases } = await sendRubbish(engine, start, { cases: 2000, milliseconds: 2500 });
    t.diagnostic(`${cases} cases from ${start}`);
  });
}

test('fuzz: every spelling of a path meets the same route, over the wire', async (t) => {
  const auth = 'auth = { tokens = "tokens" }';
  const names = ['@admin', 'a+b', 'café', 'my files'];
  const gateway = await startBoth(t, {
    config: `
[static."/"]
root = "www"
[cgi."/c++/"]
root = "www/c++"
[stream."/a:b;c=d&e"]
command = ["echo", "live"]
${names.map((name) => `[static."/${name}/"]\nroot = "www/${name}"\n${auth}\n`).join('')}`,
    files: {
      tokens: `lamp:${'0'.repeat(64)}\n`,
      'www/index.html': 'index',
      'www/c++/a': '#!/bin/sh\necho; echo program\n',
      ...Object.fromEntries(names.map((name) => [`www/${name}/a`, 'secret'])),
    },
  });
  const expected = ([first = '', second]: readonly string[]): string => {
    if (names.includes(first)) return '401';
    if (first === 'c++' && second === 'a') return '200 program';
    if (first === 'a:b;c=d&e' && second === undefined) return '200 live';
    return first === '' ? '200 index' : '404';
  };
  const end = Date.now() + 3000;
  let cases = 0;
  for (; Date.now() < end && cases < 2000; cases += 20)
    for (const [engine, port] of gateway.engines)
      await Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const chance = new Chance(start + cases + at);
          const path =
            chance.below(3) === 0
              ? anyPath(chance)
              : [
                  ['@admin', 'a+b', 'café', 'my files', 'c++', 'a:b;c=d&e'][chance.below(6)] ?? '',
                  ...['a', ''].slice(chance.below(3)),
                ];
          const target = spelled(path, chance);
          const { status, body } = await rawRequest(
            port,
            `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
          );
          const seen = status === 200 ? `200 ${body.toString().trim()}` : String(status);
          assert(!seen.includes('secret'), `${engine} ${target} from ${start}`);
          // A folder of the site, and of programs, is answered in ways of its own.
          if (!/^(?:301|403)$/.test(seen)) assert.equal(seen, expected(path), `${engine} ${target} from ${start}`);
          else assert(path.at(-1) === '' || path.length === 1, `${engine} ${target} from ${start}`);
        }),
      );
  t.diagnostic(`${cases} cases from ${start}`);
});
