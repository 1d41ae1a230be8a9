import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { type BothEngines, startBoth } from '../support/both-engines.ts';
import { programsOf, until } from '../support/processes.ts';

const LINES = Array.from({ length: 3000 }, (_, at) => `line ${at} of a page that is long enough`).join('\n');
const FILES = {
  'www/page.html': LINES,
  'www/short.txt': 'short',
  'www/large.txt': LINES.repeat(20),
  'www/both.txt': LINES,
  'www/both.txt.gz': gzipSync(LINES),
  'www/noise.txt': Buffer.from(Array.from({ length: 5000 }, () => Math.floor(Math.random() * 256))),
  'cgi/long.cgi': `#!/bin/sh\nprintf 'Content-Type: text/html\\nETag: "v1"\\n\\n'\nseq 1 20000\n`,
  'cgi/short.cgi': `#!/bin/sh\nprintf 'Content-Type: text/html\\n\\nshort'\n`,
  'cgi/slow.cgi': `#!/bin/sh\nprintf 'Content-Type: text/html\\n\\nfirst\\n'\nwhile [ ! -e ../go ]; do sleep 0.1; done\necho last\n`,
  'cgi/cut.cgi': `#!/bin/sh\nprintf 'Content-Type: text/html\\n\\nfirst\\n'\nsleep 0.3\nkill -9 $$\n`,
  'cgi/endless.cgi': `#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nexec cat /dev/urandom\n`,
};

async function gateway(t: TestContext, more = ''): Promise<BothEngines> {
  return await startBoth(t, {
    config: `[static."/"]\nroot = "www"\ncompress = true\n[cgi."/cgi/"]\nroot = "cgi"\nmax_processes = 64\ncompress = true\n${more}`,
    files: FILES as unknown as { [path: string]: string },
  });
}

interface Got {
  readonly status: number | undefined;
  readonly fields: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

function fetched(port: number, path: string, headers: { [name: string]: string } = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, path, headers, method, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode, fields: answer.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    asking.on('error', reject);
    asking.end();
  });
}

const GZIP = { 'accept-encoding': 'gzip, deflate, br' };

test('files: whole, once in memory, in parts, not modified, by HEAD', async (t) => {
  const running = await gateway(t);
  for (const [engine, port] of running.engines) {
    for (const name of ['page.html', 'large.txt']) {
      const text = name === 'page.html' ? LINES : LINES.repeat(20);
      const plain = await fetched(port, `/${name}`);
      assert.equal(plain.bytes.toString(), text);
      assert.equal(plain.fields['vary'], 'Accept-Encoding', 'a cache is told also of this form');
      assert.equal(plain.fields['accept-ranges'], 'bytes');
      const small = await fetched(port, `/${name}`, GZIP);
      assert.equal(gunzipSync(small.bytes).toString(), text, `${engine} ${name}`);
      assert.ok(small.bytes.length < text.length / 3);
      assert.equal(small.fields['content-encoding'], 'gzip');
      assert.equal(small.fields['accept-ranges'], undefined);
      assert.equal(small.fields['etag'], `W/${plain.fields['etag']}`);
      assert.equal(small.fields['vary'], 'Accept-Encoding');
      const head = await fetched(port, `/${name}`, GZIP, 'HEAD');
      assert.equal(head.bytes.length, 0);
      for (const field of ['content-encoding', 'etag', 'vary', 'content-type', 'content-length'])
        assert.equal(head.fields[field], small.fields[field], `HEAD ${engine} ${name} ${field}`);
      for (const tag of [plain.fields['etag'], small.fields['etag']]) {
        const same = await fetched(port, `/${name}`, { ...GZIP, 'if-none-match': String(tag) });
        assert.equal(same.status, 304);
        assert.equal(same.fields['vary'], 'Accept-Encoding');
      }
      const part = await fetched(port, `/${name}`, { ...GZIP, range: 'bytes=5-9' });
      assert.equal(part.status, 206);
      assert.equal(part.bytes.toString(), text.slice(5, 10));
      assert.equal(part.fields['content-encoding'], undefined);
      const asked = { ...GZIP, range: 'bytes=5-9', 'if-range': String(small.fields['etag']) };
      assert.equal((await fetched(port, `/${name}`, asked)).status, 200, 'a weak tag is no ground for a part');
    }
    for (const wish of ['identity', 'gzip;q=0', 'br', '*;q=0', 'gzip;q=0.1, identity;q=0.5'])
      assert.equal(
        (await fetched(port, '/page.html', { 'accept-encoding': wish })).fields['content-encoding'],
        undefined,
        wish,
      );
    for (const wish of ['*', 'x-gzip', 'identity;q=0, gzip;q=0.1', 'GZIP;q=1.0'])
      assert.equal(
        (await fetched(port, '/page.html', { 'accept-encoding': wish })).fields['content-encoding'],
        'gzip',
        wish,
      );
    assert.equal((await fetched(port, '/short.txt', GZIP)).fields['content-encoding'], undefined);
    assert.equal((await fetched(port, '/noise.txt', GZIP)).fields['content-encoding'], undefined, 'not smaller');
    const sibling = await fetched(port, '/both.txt', GZIP);
    assert.deepEqual(sibling.bytes, FILES['www/both.txt.gz'], 'what was compressed beforehand is taken as it is');
  }
  assert.ok((await running.metric('runnel_compressed_total', 'outcome="cached"')) > 0);
  writeFileSync(join(running.folder, 'www/page.html'), LINES.replaceAll('page', 'site'));
  const port = running.engines[0]?.[1] ?? 0;
  await until('the other text', async () =>
    gunzipSync((await fetched(port, '/page.html', GZIP)).bytes)
      .toString()
      .includes('site'),
  );
});

test('programs: what is printed is seen at once, a short text stays as it is, a failure is no end', async (t) => {
  const running = await gateway(t);
  for (const [engine, port] of running.engines) {
    const long = await fetched(port, '/cgi/long.cgi', GZIP);
    assert.equal(long.fields['content-encoding'], 'gzip');
    assert.equal(long.fields['etag'], 'W/"v1"');
    assert.match(gunzipSync(long.bytes).toString(), /^1\n2\n[\s\S]*\n20000\n$/);
    const head = await fetched(port, '/cgi/long.cgi', GZIP, 'HEAD');
    assert.equal(head.fields['content-encoding'], 'gzip', engine);
    assert.equal(head.fields['content-length'], undefined);
    const short = await fetched(port, '/cgi/short.cgi', GZIP);
    assert.equal(gunzipped(short), 'short');

    let seen = Buffer.alloc(0);
    let over = false;
    get({ port, path: '/cgi/slow.cgi', headers: GZIP, agent: false }, (answer) => {
      answer.on('data', (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
      });
      answer.on('end', () => {
        over = true;
      });
    });
    await until('the first line', () => partly(seen) === 'first\n');
    assert.equal(over, false);
    writeFileSync(join(running.folder, 'go'), '');
    await until('the end', () => over);
    assert.equal(gunzipSync(seen).toString(), 'first\nlast\n');
    spawnSync('rm', [join(running.folder, 'go')]);

    await assert.rejects(fetched(port, '/cgi/cut.cgi', GZIP), /aborted|hang up|ECONNRESET/);

    // Whoever leaves in the middle ends the program.
    const asking = get({ port, path: '/cgi/endless.cgi', headers: GZIP, agent: false });
    await new Promise<void>((resolve) => asking.on('response', (answer) => answer.once('data', () => resolve())));
    asking.destroy();
    asking.on('error', () => undefined);
    await until(
      'no program is left',
      () => !programsOf(running.pid).some(({ command }) => command.includes('urandom')),
    );
  }
});

test('a proxied answer: compressed where its server has not done it, and live', async (t) => {
  const server = createServer((asked, answer) => {
    if (asked.url === '/x/zipped') {
      answer.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' });
      answer.end(gzipSync(LINES));
    } else if (asked.url === '/x/events') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      answer.end(`data: ${LINES.replaceAll('\n', ' ')}\n\n`);
    } else {
      answer.writeHead(200, { 'content-type': 'application/json', 'content-length': LINES.length });
      answer.end(LINES);
    }
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await until('it listens', () => server.listening);
  const { port: upstream } = server.address() as { port: number };
  const running = await gateway(t, `[proxy."/x/"]\nupstream = "http://127.0.0.1:${upstream}"\ncompress = true\n`);
  for (const [, port] of running.engines) {
    const json = await fetched(port, '/x/json', GZIP);
    assert.equal(json.fields['content-encoding'], 'gzip');
    assert.equal(json.fields['content-length'], undefined);
    assert.equal(gunzipSync(json.bytes).toString(), LINES);
    assert.equal(gunzipSync((await fetched(port, '/x/zipped', GZIP)).bytes).toString(), LINES);
    assert.equal((await fetched(port, '/x/events', GZIP)).fields['content-encoding'], undefined);
  }
});

test('no more are compressed at once than may be: the others get it as it is', async (t) => {
  const running = await gateway(t);
  const port = running.engines[0]?.[1] ?? 0;
  let begun = 0;
  const slow = Array.from({ length: 24 }, () =>
    get({ port, path: '/cgi/slow.cgi', headers: GZIP, agent: false }, (answer) => {
      begun++;
      answer.on('error', () => undefined).resume();
    }),
  );
  t.after(() => {
    for (const asking of slow) asking.on('error', () => undefined).destroy();
  });
  // Before this file is asked for: once it is compressed, it is kept, and needs no place any more.
  await until('each has a place or is sent as it is', () => begun === slow.length);
  const got = await fetched(port, '/large.txt', GZIP);
  assert.equal(got.fields['content-encoding'], undefined);
  assert.equal(got.bytes.length, LINES.length * 20);
  assert.ok((await running.metric('runnel_compressed_total', 'outcome="busy"')) > 0);
  writeFileSync(join(running.folder, 'go'), '');
  await until('there is room again', async () => {
    return (await fetched(port, '/large.txt', GZIP)).fields['content-encoding'] === 'gzip';
  });
});

test('curl --compressed and gzip -t take it', {
  skip: spawnSync('curl', ['--version']).status !== 0 && 'no curl',
}, async (t) => {
  const running = await gateway(t);
  for (const [, port] of running.engines) {
    const shown = spawnSync('curl', ['-s', '--compressed', `http://127.0.0.1:${port}/large.txt`], {
      maxBuffer: 1 << 26,
    });
    assert.equal(shown.stdout.toString(), LINES.repeat(20));
    const curl = spawn('sh', [
      '-c',
      `curl -s -H 'Accept-Encoding: gzip' http://127.0.0.1:${port}/cgi/long.cgi | gzip -t`,
    ]);
    const code = await new Promise((resolve) => curl.on('exit', resolve));
    assert.equal(code, 0);
  }
});

function gunzipped({ fields, bytes }: Got): string {
  return (fields['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
}

function partly(bytes: Buffer): string {
  return bytes.length === 0 ? '' : gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}

test('what a stream answers that has an end: compressed; what is live: as it is', async (t) => {
  const config = `[stream."/s"]\ncommand = ["./readings"]\nshare = "all"\nstart = "boot"\nhistory = 500\ncompress = true\n`;
  const line = (number: number) => `{"sensor":"outside","number":${number},"text":"${'a reading '.repeat(200)}"}`;
  const readings = `#!/bin/sh\ni=0\nwhile [ $i -lt 100 ]; do echo '${line(0)}'; i=$((i+1)); done\nexec cat\n`;
  const running = await startBoth(t, { config, files: { readings } });
  for (const [engine, port] of running.engines) {
    const lines = async () => (await fetched(port, '/s?transport=history')).bytes.toString().split('\n').length - 1;
    await until('all are there', async () => (await lines()) === 100);
    for (const query of ['transport=history', 'transport=history&limit=3', 'transport=poll', 'transport=last']) {
      const [plain, small] = [await fetched(port, `/s?${query}`), await fetched(port, `/s?${query}`, GZIP)];
      assert.deepEqual([plain.fields['content-encoding'], small.fields['content-encoding']], [undefined, 'gzip']);
      assert.deepEqual([plain.fields['vary'], small.fields['vary']], ['Accept-Encoding', 'Accept-Encoding'], query);
      // The time of a message is worked out anew each time, to a millisecond or so.
      const timeless = (bytes: Buffer): string => bytes.toString().replace(/"time":"[^"]*"/g, '');
      assert.ok(timeless(gunzipSync(small.bytes)) === timeless(plain.bytes), `${engine} ${query}`);
      assert.ok(small.bytes.length * 5 < plain.bytes.length, `${small.bytes.length} of ${plain.bytes.length}`);
      const tag = small.fields['etag'];
      if (tag === undefined) continue;
      assert.match(tag, /^W\//);
      assert.equal((await fetched(port, `/s?${query}`, { ...GZIP, 'if-none-match': tag })).status, 304);
    }
    for (const accept of ['text/event-stream', 'text/plain']) {
      const live = await new Promise<IncomingMessage>((resolve) => {
        get({ port, path: '/s', headers: { ...GZIP, accept }, agent: false }, resolve);
      });
      assert.equal(live.headers['content-encoding'], undefined, `${engine} ${accept}`);
      live.destroy();
    }
  }
});
