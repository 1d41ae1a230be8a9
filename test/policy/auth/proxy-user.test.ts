/** Users whom a proxy has signed in: believed from a trusted proxy with its secret, from nobody else, and seen by nobody behind. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { HeaderList } from '../../../src/engine/engine.ts';
import { proxyUser, withoutProxyUser } from '../../../src/policy/auth/proxy-user.ts';
import { startBoth } from '../../support/both-engines.ts';
import { fakeCall } from '../../support/call.ts';
import { ask, TestSocket } from '../../support/client.ts';
import { folderWith, runnel } from '../../support/gateway.ts';

const SECRET = 'the-secret-of-the-proxy';
const digest = createHash('sha256').update(SECRET).digest('hex');
const PROXIES = `nginx:${digest}\n`;

const CASES: readonly [what: string, headers: HeaderList, proxied: boolean, expected: unknown][] = [
  ['nothing', [], true, 'none'],
  ['a secret alone', [['x-proxy-secret', SECRET]], true, 'none'],
  ['a name and the secret', [['remote-user', 'ann'], ['x-proxy-secret', SECRET]], true, { name: 'ann' }], // biome-ignore format: one row
  ['the same from elsewhere', [['remote-user', 'ann'], ['x-proxy-secret', SECRET]], false, 'forged'], // biome-ignore format: one row
  ['a name alone', [['remote-user', 'ann']], true, 'forged'],
  ['a wrong secret', [['remote-user', 'ann'], ['x-proxy-secret', 'guess']], true, 'wrong'], // biome-ignore format: one row
  ['an empty secret', [['remote-user', 'ann'], ['x-proxy-secret', '']], true, 'wrong'], // biome-ignore format: one row
  ['two secrets', [['remote-user', 'ann'], ['x-proxy-secret', SECRET], ['x-proxy-secret', SECRET]], true, 'wrong'], // biome-ignore format: one row
  ['two names', [['remote-user', 'ann'], ['remote-user', 'bob'], ['x-proxy-secret', SECRET]], true, 'forged'], // biome-ignore format: one row
  ['a second name in another spelling', [['remote-user', 'ann'], ['remote_user', 'bob'], ['x-proxy-secret', SECRET]], true, 'forged'], // biome-ignore format: one row
  ['only the other spelling', [['remote_user', 'ann'], ['x-proxy-secret', SECRET]], true, 'forged'], // biome-ignore format: one row
  ['an empty name', [['remote-user', ''], ['x-proxy-secret', SECRET]], true, 'forged'], // biome-ignore format: one row
  ['a name of 300 characters', [['remote-user', 'a'.repeat(300)], ['x-proxy-secret', SECRET]], true, 'forged'], // biome-ignore format: one row
];

for (const [what, headers, proxied, expected] of CASES)
  test(what, () => {
    const { request } = fakeCall({ headers });
    const said = proxyUser({ ...request, proxied }, 'remote-user', () => new Map([[digest, 'nginx']]));
    assert.deepEqual(said, expected);
    assert.deepEqual(withoutProxyUser([...headers, ['accept', '*/*']], 'remote-user'), [['accept', '*/*']]);
  });

test('nothing to take off: the very same list', () => {
  const headers: HeaderList = [['remote-users', 'ann']];
  assert.equal(withoutProxyUser(headers, 'remote-user'), headers);
});

const SHOW = `#!/bin/sh
printf 'Content-Type: text/plain\\n\\n%s %s [%s%s]' "$AUTH_TYPE" "$REMOTE_USER" "$HTTP_REMOTE_USER" "$HTTP_X_PROXY_SECRET"
`;
const FILES = {
  proxies: PROXIES,
  'bin/show.cgi': SHOW,
  'bin/detour.cgi': "#!/bin/sh\necho 'Location: /bin/show.cgi'; echo\n",
  'user.sh': '#!/bin/sh\necho "$REMOTE_USER"; cat\n',
};
const CONFIG = `
[connections]
trusted_proxies = ["127.0.0.2"]
failed_logins = 3
[defaults]
auth = { proxy_user = "Remote-User", proxy_secret_file = "proxies" }
[cgi."/bin/"]
root = "bin"
[cgi."/open/"]
root = "bin"
auth = { require = "none" }
[stream."/live"]
command = ["./user.sh"]
`;
const PROXY = { localAddress: '127.0.0.2' };

test('in the gateway', async (t) => {
  const gateway = await startBoth(t, { config: CONFIG, files: FILES });
  const ann = { 'Remote-User': 'ann', 'X-Proxy-Secret': SECRET };
  for (const [name, port] of gateway.engines) {
    await t.test(`${name}: a user of the proxy's, through a local redirect too`, async () => {
      for (const path of ['/bin/show.cgi', '/bin/detour.cgi']) {
        const reply = await ask(port, path, { ...PROXY, headers: ann });
        assert.deepEqual([reply.status, reply.body], [200, 'Proxy ann []'], path);
      }
      const socket = await TestSocket.open(`ws://127.0.0.1:${port}/live`, { ...PROXY, headers: ann });
      assert.deepEqual(await socket.first(1), ['ann']);
      socket.ws.close();
      await socket.closed;
    });
    await t.test(`${name}: nobody else: refused, counted, and told without the secret`, async () => {
      const before = await gateway.metric('runnel_forged_users_total', 'reason="proxy"');
      assert.equal((await ask(port, '/bin/show.cgi')).status, 403);
      assert.equal((await ask(port, '/bin/show.cgi', { headers: ann })).status, 403, 'not from the proxy');
      const alone = await ask(port, '/bin/show.cgi', { ...PROXY, headers: { 'Remote-User': 'ann' } });
      assert.equal(alone.status, 403);
      assert.equal(await gateway.metric('runnel_forged_users_total', 'reason="proxy"'), before + 2);
      await gateway.logged((line) => line.level === 'warn' && line.message.startsWith('Remote-User is not believed'));
      assert(!JSON.stringify(gateway.log).includes(SECRET));
    });
    await t.test(`${name}: a route that asks for nothing sees the name as it is, and never the secret`, async () => {
      const reply = await ask(port, '/open/show.cgi', { ...PROXY, headers: ann });
      assert.equal(reply.body, '  [ann]');
    });
    await t.test(`${name}: secrets cannot be guessed without end`, async () => {
      const from = { ...ann, 'X-Forwarded-For': `198.51.100.${port % 200}` };
      const statuses: number[] = [];
      for (let guess = 0; guess < 5; guess++) {
        const headers = { ...from, 'X-Proxy-Secret': `guess ${guess}` };
        statuses.push((await ask(port, '/bin/show.cgi', { ...PROXY, headers })).status);
      }
      assert.deepEqual(statuses, [403, 403, 403, 429, 429]);
      assert.equal(
        (await ask(port, '/bin/show.cgi', { ...PROXY, headers: from })).status,
        200,
        'who knows it comes in',
      );
    });
  }
});

const BAD: readonly (readonly [auth: string, connections: string, expected: RegExp])[] = [
  ['proxy_user = "Remote-User"', '', /proxy_user.*needs proxy_secret_file/s],
  ['basic = "people", proxy_secret_file = "proxies"', '', /proxy_secret_file.*has no effect without proxy_user/s],
  ['proxy_user = "Remote-User", proxy_secret_file = "proxies"', 'trusted_proxies = []', /no proxy is believed/],
  ['proxy_user = "Remote User", proxy_secret_file = "proxies"', '', /a name of letters/],
  ['proxy_user = "Remote-User", proxy_secret_file = "empty"', '', /contains no tokens/],
];
for (const [auth, connections, expected] of BAD)
  test(`check: ${auth} ${connections}`, async (t) => {
    const folder = folderWith(t, {
      proxies: PROXIES,
      empty: '',
      people: 'ann:$2y$04$kqWdSTvhEr2Hu8l4fHRnWOia2bNzhKf4kx7azPi9JiZKFrmNunKnK\n',
      'runnel.toml': `[[listen]]\naddress = "127.0.0.1:0"\n[connections]\n${connections}\n[static."/"]\nroot = "."\nauth = { ${auth} }\n`,
    });
    const { code, stdout, stderr } = await runnel(['check', '-c', 'runnel.toml'], folder);
    assert.notEqual(code, 0);
    assert.match(stdout + stderr, expected);
  });
