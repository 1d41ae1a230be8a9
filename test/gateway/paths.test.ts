/** One spelling, one decision: whatever escapes a request uses, it meets the route that was written, over the wire of both engines. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { startBoth } from '../support/both-engines.ts';
import { type RawReply, rawRequest } from '../support/raw.ts';

const PROGRAM = `#!/bin/sh
echo 'Content-Type: text/plain'; echo
echo "$SCRIPT_NAME|$PATH_INFO|$REQUEST_URI|$QUERY_STRING"
`;
const TOKEN = 'a-token-of-the-dashboard';
const TOKENS = `dashboard:${createHash('sha256').update(TOKEN).digest('hex')}\n`;
const AUTH = 'auth = { tokens = "tokens", query_token = true }';

function get(port: number, target: string): Promise<RawReply> {
  return rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: board.test\r\nConnection: close\r\n\r\n`);
}

async function seen(port: number, target: string): Promise<string> {
  const { status, body } = await get(port, target);
  return `${status} ${body.toString().trim()}`;
}

/** Ways to write one name in a path, one character for each byte. */
function spellings(name: string): readonly string[] {
  const bytes = [...Buffer.from(name)];
  const hex = (byte: number): string => `%${byte.toString(16).padStart(2, '0')}`;
  const raw = (byte: number): string => (byte === 0x20 ? '%20' : String.fromCharCode(byte));
  return [
    encodeURI(name),
    encodeURIComponent(name),
    bytes.map(hex).join(''),
    bytes.map((byte) => hex(byte).toUpperCase()).join(''),
    bytes.map((byte, at) => (at % 2 === 0 || byte > 0x7f ? hex(byte) : raw(byte))).join(''),
    bytes.map(raw).join(''),
  ];
}

/** Node's parser takes no bytes above ASCII in a target, which is 400. */
const isTaken = (engine: string, target: string): boolean => engine === 'uws' || !/[^\x00-\x7f]/.test(target);

test('a protected folder is protected under every spelling', async (t) => {
  const names = ['@admin', 'a+b', 'café', 'my files', "it's", 'a:b;c=d&e', '~ann', '日本', '{x}', '[1]', 'a"b'];
  const protectedFolder = (name: string): string =>
    `[static.${JSON.stringify(`/${name}/`)}]\nroot = ${JSON.stringify(`www/${name}`)}\n${AUTH}\n`;
  const gateway = await startBoth(t, {
    config: `[static."/"]\nroot = "www"\n${names.map(protectedFolder).join('')}`,
    files: {
      tokens: TOKENS,
      'www/open.txt': 'open',
      ...Object.fromEntries(names.map((name) => [`www/${name}/s.txt`, 'secret'])),
    },
  });
  for (const [engine, port] of gateway.engines) {
    assert.equal(await seen(port, '/open.txt'), '200 open');
    for (const spelled of names.flatMap(spellings)) {
      for (const target of [`/${spelled}/s.txt`, `/${spelled}/%73.txt`, `//x/..//${spelled}/./s.txt`, `/${spelled}`]) {
        const { status, body } = await get(port, target);
        assert.equal(status, isTaken(engine, target) ? 401 : 400, `${engine} ${target}`);
        assert.doesNotMatch(body.toString(), /secret/);
      }
      const entered = await seen(port, `/${spelled}/s.txt?access_token=${TOKEN}`);
      assert.equal(
        entered.slice(0, 10),
        isTaken(engine, spelled) ? '200 secret' : '400 refuse',
        `${engine} ${spelled}`,
      );
    }
  }
});

test('programs and streams are found, and told, under every spelling', async (t) => {
  const gateway = await startBoth(t, {
    config: `
[static."/"]
root = "www"
[cgi."/c++/"]
root = "www/c++"
[cgi."/über uns/"]
command = ["./one.cgi"]
[stream."/wärme"]
command = ["sh", "-c", "echo warm"]
[stream."/kälte/"]
command = ["sh", "-c", "echo $SCRIPT_NAME$PATH_INFO"]
`,
    files: { 'www/c++/x.cgi': PROGRAM, 'one.cgi': PROGRAM, 'www/index.html': 'index' },
  });
  for (const [engine, port] of gateway.engines) {
    for (const spelled of ['/c++/x.cgi', '/c%2B%2B/x.cgi', '/c%2b+/%78.cgi'])
      assert.equal(
        await seen(port, `${spelled}/a%20b/c?q=%2B`),
        `200 /c++/x.cgi|/a b/c|${spelled}/a%20b/c?q=%2B|q=%2B`,
      );
    assert.equal(
      await seen(port, '/%C3%BCber%20uns/%e4%bd%a0'),
      '200 /über uns|/你|/%C3%BCber%20uns/%e4%bd%a0|',
      'decoded once, and the target as it was sent',
    );
    // What is not UTF-8, and a slash within a segment, cannot be told; the others are no paths.
    const rests = { '%ff': 400, 'a%2Fb': 404, 'a%5Cb': 400, 'a%0Ab': 400, 'a%00b': 400 };
    for (const [rest, status] of Object.entries(rests))
      for (const route of ['/%C3%BCber%20uns/', '/k%C3%A4lte/', '/c++/x.cgi/', '/'])
        assert.equal((await get(port, route + rest)).status, status, `${engine} ${route}${rest}`);
    for (const spelled of ['/w%C3%A4rme', '/w%c3%a4rme', '/%77%C3%A4rm%65'])
      assert.equal(await seen(port, spelled), '200 warm', spelled);
    assert.equal(await seen(port, '/k%c3%a4lte/a%20b'), '200 /kälte/a b');
    const raw = '/\xc3\xbcber%20uns/\xc3\xa9?name=caf\xc3\xa9';
    if (isTaken(engine, raw)) {
      assert.equal(await seen(port, raw), '200 /über uns|/é|/über%20uns/é?name=café|name=café');
      assert.equal(await seen(port, '/w\xc3\xa4rme'), '200 warm');
    }
  }
});

test('who is sent to a folder keeps the query, and the token in it', async (t) => {
  const gateway = await startBoth(t, {
    config: `
[static."/my app/"]
root = "www"
${AUTH}
[cgi."/bin/"]
root = "bin"
index = ["index.cgi"]
${AUTH}
`,
    files: {
      tokens: TOKENS,
      'www/sub/index.html': 'page',
      'bin/sub/index.cgi': PROGRAM,
      'bin/detour.cgi': "#!/bin/sh\necho 'Location: /my%20app?x=1'; echo\n",
      'bin/public.cgi':
        "#!/bin/sh\necho 'Cache-Control: public, max-age=60, s-maxage=9'; echo 'Content-Type: text/plain'; echo\n",
      'bin/kept.cgi': "#!/bin/sh\necho 'Cache-Control: no-store'; echo 'Content-Type: text/plain'; echo\n",
    },
  });
  for (const [, port] of gateway.engines) {
    const to = async (target: string): Promise<string | undefined> => (await get(port, target)).header('location');
    const token = `access_token=${TOKEN}`;
    assert.equal(await to(`/%6dy%20app?a=1&${token}&b`), `/my%20app/?a=1&${token}&b`);
    assert.equal(await to(`//my%20app/sub?${token}`), `/my%20app/sub/?${token}`);
    assert.equal(await to(`/bin?${token}`), `./bin/?${token}`);
    assert.equal(await to(`/bin/sub?x=%22&${token}`), `./sub/?x=%22&${token}`);
    assert.equal(await to(`/bin/detour.cgi?lost&${token}`), `/my%20app/?x=1&${token}`);
    const caching = async (target: string): Promise<string | undefined> =>
      (await get(port, target)).header('cache-control');
    assert.equal(await caching(`/my%20app/sub/?${token}`), 'no-store', 'a file of which nothing is said');
    assert.equal(await caching(`/bin/sub/?${token}`), 'no-store', 'a program that says nothing');
    assert.equal(await caching(`/bin/public.cgi?${token}`), 'private, max-age=60');
    assert.equal(await caching(`/bin/kept.cgi?${token}`), 'no-store');
    const referrer = async (target: string): Promise<string | undefined> =>
      (await get(port, target)).header('referrer-policy');
    assert.equal(await referrer(`/my%20app/sub/?${token}`), 'strict-origin', 'what the page loads gets no token');
    assert.equal(await referrer(`/bin/kept.cgi?${token}`), 'strict-origin');
    const authorized = await rawRequest(
      port,
      `GET /bin/public.cgi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`,
    );
    assert.equal(authorized.header('cache-control'), 'public, max-age=60, s-maxage=9', 'no token in the address');
    assert.equal(authorized.header('referrer-policy'), undefined);
  }
});

test('a stream beside a folder of the same name', async (t) => {
  const gateway = await startBoth(t, {
    config: '[static."/live/"]\nroot = "www"\n[stream."/live"]\ncommand = ["sh", "-c", "echo live"]\n',
    files: { 'www/index.html': 'page' },
  });
  for (const [, port] of gateway.engines) {
    assert.equal(await seen(port, '/live'), '200 live');
    assert.equal(await seen(port, '/live/'), '200 page');
  }
});
