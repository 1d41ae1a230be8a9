/** One app for each certificate: which keys it takes, what it costs to replace one, and what is left of the key. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import type { Descriptors } from '../../../src/engine/descriptors.ts';
import { type AdoptingApp, KnownPeers } from '../../../src/engine/uws/known-peers.ts';
import { MAX_APPS, SecureApps } from '../../../src/engine/uws/secure-apps.ts';
import { loadUws } from '../../../src/ops/addons/addon.ts';
import { openAssets } from '../../../src/ops/assets.ts';
import type { ServedIdentity } from '../../../src/tls/serving/contexts.ts';
import { Authority, ecKey } from '../../support/certificates.ts';

const authority = new Authority();
const uws = await loadUws(openAssets(), 16_384);

function identity(name: string, key: KeyObject = ecKey(), only13 = false): ServedIdentity {
  const made = authority.server([name], { key });
  return { digest: `${name} ${only13}`, title: name, chain: made.certificate, key, only13 };
}

/** Apps, what was said of them, and how many were routed. */
function bench(environment?: { readonly [name: string]: string }) {
  const told: string[] = [];
  let routed = 0;
  const apps = new SecureApps(
    uws,
    {
      route: (app) => {
        routed++;
        return new KnownPeers(app as AdoptingApp, false, {} as Descriptors);
      },
      unable: (title, reason) => told.push(`${title}: ${reason}`),
    },
    environment,
  );
  return { apps, told, routed: () => routed };
}

test('keys of every kind but RSASSA-PSS, with both policies', () => {
  const { apps, told, routed } = bench();
  const keys: Readonly<Record<string, KeyObject>> = {
    'rsa-2048': generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    'rsa-4096': generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey,
    p256: ecKey(),
    p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
    ed25519: generateKeyPairSync('ed25519').privateKey,
  };
  for (const [name, key] of Object.entries(keys))
    for (const only13 of [false, true]) assert(apps.appFor(identity(`${name}.test`, key, only13)), name);
  assert.equal(routed(), 12);
  assert.deepEqual(told, []);
  apps.close();
});

test('what cannot be made is told once', () => {
  const { apps, told, routed } = bench();
  const { privateKey } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
  const unusual = { ...identity('pss.test'), key: privateKey };
  for (let at = 0; at < 3; at++) assert.equal(apps.appFor(unusual), undefined);
  assert.deepEqual([told, routed()], [['pss.test: App construction failed'], 0]);
  apps.close();
});

test('an identity that comes back finds its app, and the number of apps has a bound', () => {
  const { apps, told, routed } = bench();
  const one = identity('one.test');
  const app = apps.appFor(one);
  for (let at = 1; at < MAX_APPS; at++) assert(apps.appFor({ ...one, digest: `another ${at}` }));
  for (const late of ['late.test', 'later.test', 'late.test'])
    assert.equal(apps.appFor({ ...one, title: late, digest: late }), undefined);
  assert.equal(apps.appFor({ ...one }), app);
  assert.equal(routed(), MAX_APPS);
  assert.deepEqual(told.length, 1);
  assert.match(told[0] ?? '', /^late\.test: .*64 certificates/);
  apps.close();
});

test('no descriptor and no file of the key is left', () => {
  const open = (): readonly string[] =>
    readdirSync('/proc/self/fd').flatMap((name) => {
      try {
        return [readlinkSync(`/proc/self/fd/${name}`)];
      } catch {
        // The one that reads the folder.
        return [];
      }
    });
  const before = open().length;
  const { apps } = bench();
  for (let at = 0; at < 10; at++) apps.appFor(identity(`${at}.test`));
  assert.equal(open().filter((path) => /^\/(dev\/shm|run|tmp)\/.*deleted/.test(path)).length, 0);
  assert(open().length <= before + 1);
  apps.close();
});
