import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SecureContextOptions } from 'node:tls';
import { daysLeft, milestone } from '../../../src/tls/serving/expiry.ts';
import { CertificateStore } from '../../../src/tls/serving/store.ts';
import { Authority, type Made } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';

const authority = new Authority();
const DAY = 86_400_000;

/** A folder with a certificate, and a store that watches it. What it tells is kept. */
class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'runnel-store-'));
  readonly events: string[] = [];
  /** Chains that the server was given. */
  readonly served: string[] = [];
  ticketKeys = 0;
  store: CertificateStore | undefined;

  get files() {
    return { certificate: join(this.folder, 'a.pem'), key: join(this.folder, 'a.key'), passphrase: undefined };
  }

  put(made: Made): void {
    writeFileSync(this.files.certificate, made.certificate);
    writeFileSync(this.files.key, made.pem);
  }

  async open(files = this.files): Promise<CertificateStore> {
    const settings = {
      identities: [files],
      minimumVersion: '1.2',
      ciphers: 'intermediate',
      client: undefined,
    } as const;
    this.store = await CertificateStore.open(
      settings,
      {},
      {
        reloaded: (titles) => this.events.push(`reloaded ${titles.join(' ')}`),
        failed: (message) => this.events.push(`failed ${message.replaceAll(this.folder, '')}`),
        expiring: (title, days) => this.events.push(`expiring ${title} ${days}`),
        serving: () => undefined,
      },
    );
    const server = {
      setSecureContext: (options: SecureContextOptions) => this.served.push(String(options.cert)),
      setTicketKeys: () => ++this.ticketKeys,
    };
    this.store.attach(server, 10);
    return this.store;
  }

  async told(event: string): Promise<void> {
    await until(() => this.events.includes(event), `"${event}" among ${JSON.stringify(this.events)}`);
  }

  async turns(): Promise<void> {
    // Several looks, to be sure that nothing is told again.
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  close(): void {
    this.store?.close();
    rmSync(this.folder, { recursive: true });
  }
}

async function bench(act: (bench: Bench) => Promise<void>): Promise<void> {
  const made = new Bench();
  try {
    await act(made);
  } finally {
    made.close();
  }
}

test('files that do not change are left alone', () =>
  bench(async (b) => {
    b.put(authority.server(['one.test']));
    await b.open();
    await b.turns();
    assert.deepEqual(b.events, []);
    assert.deepEqual(b.served, []);
  }));

test('a reload of the same, touched or not, puts nothing in force and says nothing', () =>
  bench(async (b) => {
    const made = authority.server(['one.test']);
    b.put(made);
    const store = await b.open();
    await store.reload();
    b.put(made);
    await store.reload();
    assert.deepEqual([b.events, b.served, b.ticketKeys], [[], [], 0]);
    b.put(authority.server(['two.test']));
    await store.reload();
    assert.deepEqual(b.events, ['reloaded two.test']);
  }));

test('an intermediate certificate that ends first is named, with its own dates', () =>
  bench(async (b) => {
    const past = new Authority('Past', authority, { from: -9, to: -2 });
    const soon = new Authority('Soon', authority, { to: 2 });
    const chain = (middle: Authority, name: string): Made => {
      const leaf = middle.server([name]);
      return { ...leaf, certificate: leaf.certificate + middle.certificate };
    };
    b.put(chain(soon, 'soon.test'));
    const store = await b.open();
    const told = 'expiring the intermediate certificate "Soon" of the certificate for soon.test 3';
    assert.deepEqual(b.events, [told]);
    b.put(chain(past, 'past.test'));
    await store.reload();
    const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    assert.deepEqual(b.events, [
      told,
      `failed the intermediate certificate "Past" of the certificate for past.test is valid from ${day(-9)} to ${day(-2)}, which is not now`,
    ]);
  }));

test('files are renamed over the old ones', () =>
  bench(async (b) => {
    b.put(authority.server(['one.test']));
    const store = await b.open();
    const next = authority.server(['two.test']);
    writeFileSync(join(b.folder, 'new.key'), next.pem);
    writeFileSync(join(b.folder, 'new.pem'), next.certificate);
    renameSync(join(b.folder, 'new.key'), b.files.key);
    renameSync(join(b.folder, 'new.pem'), b.files.certificate);
    await b.told('reloaded two.test');
    assert.equal(b.served.at(-1), next.certificate);
    assert.equal(b.ticketKeys, b.served.length, 'new keys for session tickets each time');
    assert.equal(store.certificates()[0]?.title, 'two.test');
  }));

test('a link of a folder is flipped, as Kubernetes does', () =>
  bench(async (b) => {
    const data = (name: string, made: Made) => {
      mkdirSync(join(b.folder, name));
      writeFileSync(join(b.folder, name, 'tls.crt'), made.certificate);
      writeFileSync(join(b.folder, name, 'tls.key'), made.pem);
      symlinkSync(name, join(b.folder, '..data_new'));
      renameSync(join(b.folder, '..data_new'), join(b.folder, '..data'));
    };
    data('v1', authority.server(['one.test']));
    symlinkSync('..data/tls.crt', join(b.folder, 'tls.crt'));
    symlinkSync('..data/tls.key', join(b.folder, 'tls.key'));
    await b.open({ certificate: join(b.folder, 'tls.crt'), key: join(b.folder, 'tls.key'), passphrase: undefined });
    data('v2', authority.server(['two.test']));
    await b.told('reloaded two.test');
  }));

test('a link of a file is flipped, as certbot does', () =>
  bench(async (b) => {
    const archive = (n: number, made: Made) => {
      for (const [name, content] of [
        ['fullchain', made.certificate],
        ['privkey', made.pem],
      ] as const) {
        writeFileSync(join(b.folder, `${name}${n}.pem`), content);
        rmSync(join(b.folder, `${name}.pem`), { force: true });
        symlinkSync(`${name}${n}.pem`, join(b.folder, `${name}.pem`));
      }
    };
    archive(1, authority.server(['one.test']));
    await b.open({
      certificate: join(b.folder, 'fullchain.pem'),
      key: join(b.folder, 'privkey.pem'),
      passphrase: undefined,
    });
    archive(2, authority.server(['two.test']));
    await b.told('reloaded two.test');
    assert.deepEqual(b.events, ['reloaded two.test']);
  }));

test('what cannot be used leaves the old, is told once for each problem, and is tried again', () =>
  bench(async (b) => {
    const one = authority.server(['one.test']);
    b.put(one);
    const store = await b.open();
    const two = authority.server(['two.test']);
    writeFileSync(b.files.certificate, two.certificate);
    const mismatch = 'failed the key in /a.key does not belong to the certificate in /a.pem (two.test)';
    await b.told(mismatch);
    await b.turns();
    writeFileSync(b.files.certificate, 'nonsense');
    await b.told('failed there is no certificate in /a.pem: PEM begins with "-----BEGIN CERTIFICATE-----"');
    rmSync(b.files.certificate);
    await b.told('failed /a.pem does not exist');
    await b.turns();
    assert.equal(b.events.length, 3);
    assert.deepEqual(b.served, []);
    assert.equal(store.certificates()[0]?.title, 'one.test');
    b.put(two);
    await b.told('reloaded two.test');
    assert.equal(b.events.length, 4);
  }));

test('an expired certificate does not replace a valid one, but serves where there is none', () =>
  bench(async (b) => {
    const old = authority.server(['old.test'], { from: -9, to: -1 });
    b.put(old);
    await b.open();
    assert.deepEqual(b.events, ['expiring the certificate for old.test 0']);
    b.put(authority.server(['older.test'], { from: -9, to: -2 }));
    await b.told('reloaded older.test');
    b.put(authority.server(['one.test']));
    await b.told('reloaded one.test');
    b.put(old);
    await until(
      () => b.events.some((event) => event.startsWith('failed the new certificate for old.test is valid from ')),
      'the refusal',
    );
    assert.equal(b.store?.certificates()[0]?.title, 'one.test');
  }));

test('on demand the files are read whether they have changed or not', () =>
  bench(async (b) => {
    b.put(authority.server(['one.test']));
    const store = await b.open();
    await store.reload();
    assert.equal(b.events.length, 0);
    writeFileSync(b.files.key, 'nonsense');
    await store.reload();
    await store.reload();
    assert.equal(
      b.events.filter((event) => event.startsWith('failed')).length >= 2,
      true,
      'who asks is told each time',
    );
  }));

test('a certificate that ends soon is told once for each milestone', () =>
  bench(async (b) => {
    b.put(authority.server(['soon.test'], { to: 6.5 }));
    await b.open();
    await b.turns();
    assert.deepEqual(b.events, ['expiring the certificate for soon.test 7']);
  }));

test('milestones', () => {
  const cases: readonly (readonly [number, number | undefined])[] = [
    [31, undefined],
    [30, 30],
    [29.9, 30],
    [14.1, 30],
    [14, 14],
    [7, 7],
    [3, 3],
    [1.01, 3],
    [1, 1],
    [0.1, 1],
    [0, 0],
    [-5, 0],
  ];
  for (const [days, expected] of cases) assert.equal(milestone(days * DAY, 0), expected, `${days} days`);
  assert.equal(daysLeft(1.9 * DAY, 0), 1);
  assert.equal(daysLeft(-0.5 * DAY, 0), -1);
});

test('without a server of Node’s it serves identities all the same: by name, without regard to case, and new ones when files change', () =>
  bench(async (b) => {
    const [first, wild, exact] = [['one.test'], ['*.board.test'], ['a.board.test']].map((names) =>
      authority.server(names),
    );
    assert(first !== undefined && wild !== undefined && exact !== undefined);
    b.put(first);
    const others = [wild, exact].map((made, index) => {
      const file = join(b.folder, `${index}.pem`);
      writeFileSync(file, made.certificate + made.pem);
      return { certificate: file, key: file, passphrase: undefined };
    });
    const settings = { identities: [b.files, ...others] as const, minimumVersion: '1.2', ciphers: 'modern' } as const;
    const quiet = { reloaded: () => b.events.push('reloaded'), failed() {}, expiring() {}, serving() {} };
    const store = await CertificateStore.open({ ...settings, client: undefined }, {}, quiet);
    b.store = store;
    store.watch(10);
    const titles = ['A.Board.Test.', 'b.board.TEST', 'a.b.board.test', 'one.test', undefined].map(
      (host) => store.identityFor(host)?.title,
    );
    assert.deepEqual(titles, ['a.board.test', '*.board.test', 'one.test', 'one.test', 'one.test']);
    const before = store.identityFor('a.board.test');
    assert.equal(before?.chain, exact.certificate);
    assert(before?.only13 && before.key.equals(exact.key));

    const next = authority.server(['one.test']);
    b.put(next);
    await b.told('reloaded');
    assert.equal(store.identityFor('one.test')?.chain, next.certificate);
    // What has not changed is the same for whoever keeps something by it.
    assert.equal(store.identityFor('a.board.test')?.digest, before.digest);
    const changed = store.identityFor('one.test')?.digest;
    b.put(first);
    await store.reload();
    assert.notEqual(store.identityFor('one.test')?.digest, changed);
    await store.prepare({ ...settings, ciphers: 'intermediate', client: undefined }).then((use) => use());
    const policy = store.identityFor('a.board.test');
    assert(policy !== undefined && !policy.only13 && policy.digest !== before.digest);
    store.close();

    writeFileSync(join(b.folder, 'ca.pem'), authority.certificate);
    const client = { mode: 'optional', ca: join(b.folder, 'ca.pem'), crl: undefined } as const;
    const asking = await CertificateStore.open({ ...settings, client }, {}, quiet);
    assert.equal(asking.identityFor('one.test'), undefined);
  }));
