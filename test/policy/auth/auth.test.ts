/** Authentication at work in the gateway, on both engines. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseTokens } from '../../../src/config/credentials.ts';
import { Log } from '../../../src/ops/log.ts';
import { Auth } from '../../../src/policy/auth/auth.ts';
import { CredentialFile } from '../../../src/policy/auth/credential-file.ts';
import { Passwords } from '../../../src/policy/auth/passwords.ts';
import { Rates } from '../../../src/policy/rate.ts';
import { startBoth } from '../../support/both-engines.ts';
import { fakeCall } from '../../support/call.ts';
import { ask, refused, TestSocket } from '../../support/client.ts';
import { configOf } from '../../support/config.ts';
import { folderWith, runnel } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const TOKEN = 'a-token-of-the-dashboard';
const TOKENS = `dashboard:${createHash('sha256').update(TOKEN).digest('hex')}\n`;
/** "secret", cost 4, so that the test is quick. */
const PEOPLE = `ann:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\n`;

const SHOW = `#!/bin/sh
echo run >> "$DOCUMENT_ROOT/runs"
echo "Content-Type: text/plain"
echo
echo "$AUTH_TYPE $REMOTE_USER query=$QUERY_STRING uri=$REQUEST_URI auth=$HTTP_AUTHORIZATION"
cat
`;
const HERE = `#!/bin/sh
echo "Location: /bin/show.cgi"
echo
`;

const CONFIG = `
[connections]
failed_logins = 1000
[cgi."/bin/"]
root = "bin"
auth = { basic = "people", tokens = "tokens", query_token = true, realm = "board" }
[cgi."/both/"]
root = "bin"
auth = { basic = "people", tokens = "tokens", query_token = true, require = "all" }
[cgi."/open/"]
root = "open"
[static."/www/"]
root = "www"
auth = { basic = "people" }
[stream."/live"]
command = ["./user.sh"]
auth = { tokens = "tokens", query_token = true }
`;
const FILES = {
  people: PEOPLE,
  tokens: TOKENS,
  'bin/show.cgi': SHOW,
  'open/detour.cgi': HERE,
  'www/app/index.html': 'page',
  'user.sh': '#!/bin/sh\necho "$AUTH_TYPE $REMOTE_USER $QUERY_STRING"; cat\n',
};

const basic = (name: string, password: string): { Authorization: string } => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const bearer = (token: string): { Authorization: string } => ({ Authorization: `Bearer ${token}` });

test('who may use a route', async (t) => {
  const gateway = await startBoth(t, { config: CONFIG, files: FILES });
  const runs = (): number => {
    const file = join(gateway.folder, 'bin/runs');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  };
  for (const [name, port] of gateway.engines) {
    await t.test(`${name}: nobody: 401 with both challenges, and no program starts`, async () => {
      const before = runs();
      const reply = await ask(port, '/bin/show.cgi');
      assert.equal(reply.status, 401);
      assert.equal(reply.headers['www-authenticate'], 'Basic realm="board", charset="UTF-8", Bearer realm="board"');
      for (const headers of [
        basic('ann', 'wrong'),
        basic('bob', 'secret'),
        bearer('wrong'),
        { Authorization: 'Basic ' },
      ])
        assert.equal(
          (await ask(port, '/bin/show.cgi', { headers, method: 'POST', body: 'x'.repeat(200_000) })).status,
          401,
        );
      assert.equal(runs(), before);
    });
    await t.test(`${name}: a name and a password, seen before or not, with a body`, async () => {
      for (let round = 0; round < 3; round++) {
        const reply = await ask(port, '/bin/show.cgi', {
          headers: basic('ann', 'secret'),
          method: 'POST',
          body: 'body',
        });
        assert.equal(reply.body, 'Basic ann query= uri=/bin/show.cgi auth=\nbody');
      }
      const large = 'x'.repeat(3 << 20);
      const reply = await ask(port, '/bin/show.cgi', { headers: basic('ann', 'secret'), method: 'POST', body: large });
      assert.equal(reply.body.length, 'Basic ann query= uri=/bin/show.cgi auth=\n'.length + large.length);
    });
    await t.test(`${name}: a token, in the header or in the query, which the program does not see`, async () => {
      assert.match(
        (await ask(port, '/bin/show.cgi?a=1', { headers: bearer(TOKEN) })).body,
        /^Bearer dashboard query=a=1 /,
      );
      const reply = await ask(port, `/bin/show.cgi?a=1&access_token=${TOKEN}&b=2`);
      assert.equal(reply.body, 'Bearer dashboard query=a=1&b=2 uri=/bin/show.cgi?a=1&b=2 auth=\n');
      assert.equal((await ask(port, '/bin/show.cgi?access_token=wrong')).status, 401);
      const encoded = `/bin/show.cgi?%61ccess%5Ftoken=${TOKEN}`;
      assert.equal((await ask(port, encoded, { headers: { referer: `http://board${encoded}` } })).status, 401);
      // Misspelled they are none, and still in no log.
      for (const misspelled of ['Access_Token', 'access%5ftoken', 'accessToken'])
        assert.equal((await ask(port, `/bin/show.cgi?a=1&${misspelled}=${TOKEN}&b=2`)).status, 401);
    });
    await t.test(`${name}: all of them`, async () => {
      assert.equal((await ask(port, '/both/show.cgi', { headers: basic('ann', 'secret') })).status, 401);
      assert.equal((await ask(port, `/both/show.cgi?access_token=${TOKEN}`)).status, 401);
      const reply = await ask(port, `/both/show.cgi?access_token=${TOKEN}`, { headers: basic('ann', 'secret') });
      assert.match(reply.body, /^Basic ann/);
    });
    await t.test(`${name}: before an upgrade`, async () => {
      const url = `ws://127.0.0.1:${port}/live`;
      assert.equal((await refused(url)).status, 401);
      assert.equal((await refused(`${url}?access_token=wrong`)).status, 401);
      const socket = await TestSocket.open(`${url}?room=1&access_token=${TOKEN}`);
      assert.deepEqual(await socket.first(1), ['Bearer dashboard room=1']);
      socket.ws.close();
      await socket.closed;
    });
    await t.test(`${name}: no detour by a local redirect, no token in a redirect`, async () => {
      assert.equal((await ask(port, '/open/detour.cgi')).status, 401);
      assert.match((await ask(port, '/open/detour.cgi', { headers: bearer(TOKEN) })).body, /^Bearer dashboard/);
      const reply = await ask(port, '/www/app?x=1', { headers: basic('ann', 'secret') });
      assert.equal(reply.status, 301);
      assert.equal((await ask(port, '/www/app')).status, 401);
    });
  }
  await t.test('tokens and passwords are in no log line', () => {
    const log = JSON.stringify(gateway.log);
    for (const secret of [TOKEN, 'secret', Buffer.from('ann:secret').toString('base64')])
      assert(!log.includes(secret), secret);
    assert(gateway.log.some((line) => line['user'] === 'ann'));
  });
  await t.test('a changed file counts within seconds; a broken line is left out and told', async () => {
    const [, port] = gateway.engines[0] ?? ['', 0];
    const [next] = [join(gateway.folder, 'people.new')];
    const hashed = await hashOf('geheim', 'bob', gateway.folder);
    writeFileSync(next, `eve:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n${hashed}`);
    renameSync(next, join(gateway.folder, 'people'));
    const status = async (who: { Authorization: string }): Promise<number> =>
      (await ask(port, '/bin/show.cgi', { headers: who })).status;
    await until('the new file to count', async () => (await status(basic('bob', 'geheim'))) === 200);
    assert.equal(await status(basic('ann', 'secret')), 401, 'remembered, but not in the file any more');
    await gateway.logged((line) => line.level === 'warn' && /line 1 is ignored: SHA-1/.test(line.message));
  });
  assert((await gateway.metric('runnel_policy_refused_total', 'policy="auth"')) > 10);
});

test('wrong passwords are limited for each address, right ones that were seen are not', async (t) => {
  const gateway = await startBoth(t, { config: CONFIG.replace('1000', '3'), files: FILES });
  const [, port] = gateway.engines[0] ?? ['', 0];
  const status = async (headers: { Authorization: string }) => await ask(port, '/bin/show.cgi', { headers });
  assert.equal((await status(basic('ann', 'secret'))).status, 200);
  const statuses: number[] = [];
  for (let count = 0; count < 6; count++) statuses.push((await status(basic('ann', `guess ${count}`))).status);
  assert.deepEqual(statuses, [401, 401, 401, 429, 429, 429]);
  const limited = await status(bearer('guess'));
  assert.equal(limited.status, 429);
  assert(Number(limited.headers['retry-after']) >= 1);
  assert.equal((await status(basic('ann', 'secret'))).status, 200, 'known to be right');
  assert.equal((await status(bearer(TOKEN))).status, 200, 'right, and cheap to check');
  assert.equal(await gateway.metric('runnel_policy_refused_total', 'policy="logins"'), 4);
  const elsewhere = async (password: string) =>
    (await ask(port, '/bin/show.cgi', { headers: basic('ann', password), localAddress: '127.0.0.2' })).status;
  for (let count = 0; count < 3; count++) assert.equal(await elsewhere(`other guess ${count}`), 401);
  assert.equal(await elsewhere('secret'), 429, 'right, but not from there: it could be the next guess');
});

test('what the commands print is what the gateway reads', async (t) => {
  const { folder, engines } = await startBoth(t, { config: CONFIG, files: FILES });
  const made = await runnel(['token', 'lamp'], folder);
  assert.equal(made.code, 0);
  assert.match(made.stdout, /^lamp:[0-9a-f]{64}\n$/);
  const secret = /: (\S+)\n$/.exec(made.stderr)?.[1] ?? '';
  writeFileSync(join(folder, 'tokens'), TOKENS + made.stdout);
  for (const [, port] of engines)
    await until(
      'the new token to count',
      async () => (await ask(port, '/bin/show.cgi', { headers: bearer(secret) })).status === 200,
    );
  for (const words of [
    ['token'],
    ['token', 'a', 'b'],
    ['token', 'a:b'],
    ['hash-password', 'ann', 'secret'],
    ['hash-password', '--cost', '40'],
  ])
    assert.equal((await runnel(words, folder)).code, 2, words.join(' '));
});

test("Apache's own htpasswd writes what is read", {
  skip: spawnSync('htpasswd').error ? 'needs htpasswd' : false,
}, async (t) => {
  const { stdout } = spawnSync('htpasswd', ['-nbB', '-C', '5', 'ann', 'sécret'], { encoding: 'utf8' });
  const { engines } = await startBoth(t, { config: CONFIG, files: { ...FILES, people: stdout } });
  for (const [, port] of engines) {
    assert.equal((await ask(port, '/bin/show.cgi', { headers: basic('ann', 'sécret') })).status, 200);
    assert.equal((await ask(port, '/bin/show.cgi', { headers: basic('ann', 'secret') })).status, 401);
  }
});

async function hashOf(password: string, name: string, folder: string): Promise<string> {
  const main = new URL('../../../src/main.js', import.meta.url).pathname;
  const { status, stdout } = spawnSync(process.execPath, [main, 'hash-password', '--cost', '4', name], {
    cwd: folder,
    input: `${password}\n`,
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  return stdout;
}

/** A file of tokens of which only one can be asked for. */
class OnlyLookedUp extends Map<string, string> {
  override [Symbol.iterator](): never {
    throw new Error('every token was looked at');
  }
}

test('a token costs the same, however many there are', (t) => {
  const folder = folderWith(t, { tokens: TOKENS });
  const { auth: config } = configOf({ defaults: { auth: { tokens: join(folder, 'tokens') } } }).defaults;
  const log = new Log({ format: 'json', level: 'error', colour: false, descriptor: 1 });
  const entries = new OnlyLookedUp();
  for (const [digest, name] of parseTokens(TOKENS).entries) entries.set(digest, name);
  const auth = new Auth(config, {
    passwords: new Passwords(),
    failures: new Rates(1, 10),
    basic: undefined,
    tokens: new CredentialFile(join(folder, 'tokens'), () => ({ entries, problems: [] }), log),
    proxies: undefined,
    forged: () => undefined,
    now: () => 0,
    isShared: () => false,
  });
  const decide = (token: string) => auth.decide(fakeCall({ headers: [['authorization', `Bearer ${token}`]] }).request);
  assert.deepEqual(decide(TOKEN), { user: { name: 'dashboard', type: 'Bearer' } });
  const wrong = decide('wrong');
  assert(!(wrong instanceof Promise) && wrong.refusal?.status === 401);
});
