import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { chainFrom } from '../../../src/tls/chain.ts';
import { DEVICES } from '../../../src/tls/judging/devices.ts';
import {
  type Anchor,
  anchorsOf,
  generalTrouble,
  type ServedChain,
  verdictFor,
} from '../../../src/tls/judging/verdict.ts';
import { Authority, type Made } from '../../support/certificates.ts';

// Names of real roots with keys of our own: the table goes by names.
const x1 = new Authority('ISRG Root X1');
const dst = new Authority('DST Root CA X3');
const r11 = new Authority('R11', x1);
const x1ByDst = new Authority('ISRG Root X1', dst, { key: x1.key, from: -2000, to: -50 });
const g2 = new Authority('DigiCert Global Root G2');
const young = new Authority('Young Root');
const none = new Authority('Nobody');
const past = new Authority('Past', g2, { from: -9, to: -2 });
const lost = new Authority('Lost', none, { from: -9, to: -2 });
const EXPIRED = new RegExp(
  `^the intermediate certificate "Past" expired on ${new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10)}$`,
);

const parsed = (made: Made) => new X509Certificate(made.certificate);
const ROOTS = [x1, g2, young].map(parsed);

function served(leaf: Made, others: readonly Made[], tls12?: boolean): ServedChain {
  const chain = chainFrom(parsed(leaf), [leaf, ...others].map(parsed));
  return { chain, anchors: anchorsOf(chain, ROOTS), tls12 };
}

const CHAINS: { readonly [what: string]: ServedChain } = {
  "Let's Encrypt": served(r11.server(['a.test']), [r11]),
  'with the cross-sign that has expired': served(r11.server(['a.test']), [r11, x1ByDst]),
  'DigiCert G2': served(g2.server(['a.test']), []),
  'a root of this year': served(young.server(['a.test']), []),
  'TLS 1.3 only': served(g2.server(['a.test']), [], false),
  Ed25519: served(g2.server(['a.test'], { key: generateKeyPairSync('ed25519').privateKey }), []),
};

/** K(aiOS) A(ndroid) i(OS) T(izen) w(ebOS 1-2) W(ebOS 3-4) J(ava) O(penSSL); + trusted, - refused, ~ depends, ? not known. */
const EXPECTED: { readonly [what: string]: string } = {
  "Let's Encrypt": 'K- A- i- T- w- W~ J- O+',
  'with the cross-sign that has expired': 'K- A- i- T- w- W~ J- O-',
  'DigiCert G2': 'K+ A- i- T- w- W- J- O?',
  'a root of this year': 'K- A- i- T- w- W- J- O?',
  'TLS 1.3 only': 'K- A- i- T- w- W- J- O-',
  Ed25519: 'K- A- i- T- w- W- J- O-',
};

const SIGNS = { trusted: '+', refused: '-', depends: '~', 'not known': '?' } as const;

describe('verdicts', () => {
  for (const [what, chain] of Object.entries(CHAINS))
    test(what, () => {
      const now = Date.now();
      const signs = DEVICES.map((device, at) => 'KAiTwWJO'[at] + SIGNS[verdictFor(device, chain, now).answer]);
      assert.equal(signs.join(' '), EXPECTED[what]);
    });

  test('a root that was there before the store ended, and of which nothing is said, is not known', () => {
    const chain = CHAINS['DigiCert G2'];
    assert(chain !== undefined);
    const anchors: readonly Anchor[] = [
      { name: 'DigiCert Global Root G2', madeOn: Date.parse('2013-08-01'), length: 1 },
    ];
    const tizen = DEVICES.find(({ name }) => name.startsWith('Tizen'));
    assert(tizen !== undefined);
    assert.equal(verdictFor(tizen, { ...chain, anchors }, Date.now()).answer, 'not known');
  });

  test('every verdict says why', () => {
    for (const chain of Object.values(CHAINS))
      for (const device of DEVICES) assert.notEqual(verdictFor(device, chain, Date.now()).because, '');
  });
});

describe('what holds for every device', () => {
  const cases: readonly (readonly [string, ServedChain, RegExp | undefined])[] = [
    ['nothing', served(g2.server(['a.test']), []), undefined],
    ['expired', served(g2.server(['a.test'], { from: -9, to: -2 }), []), /^the certificate expired on /],
    ['not yet valid', served(g2.server(['a.test'], { from: 2, to: 9 }), []), /is not valid before /],
    ['an expired intermediate', served(past.server(['a.test']), [past]), EXPIRED],
    [
      'one without a public root',
      served(lost.server(['a.test']), [lost]),
      /^the intermediate certificate "Lost" expired on /,
    ],
    ['one beside a path that is fine', CHAINS['with the cross-sign that has expired'] ?? assert.fail(), undefined],
    ['self-signed', served(none, []), /^it is self-signed/],
    [
      'an authority of its own',
      served(none.server(['a.test']), []),
      /^its root is "Nobody", which is in no public list/,
    ],
    [
      'a missing intermediate',
      served(r11.server(['a.test'], { issuerAddress: 'http://r11.test/' }), []),
      /^the intermediate certificate "R11" is missing/,
    ],
  ];
  for (const [what, chain, pattern] of cases)
    test(what, () => {
      const trouble = generalTrouble(chain, Date.now());
      if (pattern === undefined) assert.equal(trouble, undefined);
      else assert.match(trouble ?? '', pattern);
    });
});
