/** FastCGI through the real gateway: php-fpm as it is, and applications that misbehave. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask } from '../../support/client.ts';
import { type Application, application, endRecord, recordOf } from '../../support/fastcgi-application.ts';
import { folderWith, type Running, startGateway } from '../../support/gateway.ts';
import { phpFpm, startPhpFpm } from '../../support/php-fpm.ts';
import { memoryOf, until } from '../../support/processes.ts';
import { RawClient, rawRequest } from '../../support/raw.ts';
import { ENGINES } from '../../support/trial.ts';

const listen = (engine: string): string => `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`;

const PHP = {
  'www/hello.php': '<?php header("X-Who: php"); http_response_code(201); echo "hello ", $_GET["name"] ?? "";',
  'www/server.php': '<?php ksort($_SERVER); foreach ($_SERVER as $k => $v) if (is_string($v)) echo "$k=$v\\n";',
  'www/upload.php': '<?php $f = $_FILES["file"]; echo $f["name"], " ", $f["size"], " ", md5_file($f["tmp_name"]);',
  'www/session.php': '<?php session_start(); echo $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1;',
  'www/loud.php': '<?php file_put_contents("php://stderr", "to stderr\\n"); error_log("logged"); echo "ok";',
  'www/big.php': '<?php for ($i = 0; $i < 1024; $i++) echo str_repeat(chr(65 + $i % 26), 65536);',
  'www/late.php': '<?php echo str_repeat("x", 100000); flush(); sleep(1000);',
  'www/index.php': '<?php echo "index ", $_SERVER["SCRIPT_NAME"];',
  'www/sub/index.php': '<?php echo "index ", $_SERVER["SCRIPT_NAME"];',
  'www/picture.jpg': '<?php echo "a program in a picture";',
};

const FPM = phpFpm();
for (const engine of ENGINES) {
  test(`php-fpm (${engine})`, { skip: FPM === undefined && 'needs php-fpm' }, async (t) => {
    const folder = folderWith(t, {
      'front.php': '<?php echo "front ", $_SERVER["SCRIPT_NAME"], " ", $_SERVER["PATH_INFO"], " ", $_GET["q"] ?? "";',
    });
    const { socket, master } = await startPhpFpm(t, folder, 2);
    const running = await startGateway(t, {
      config: `${listen(engine)}[fastcgi."/app/"]\nconnect = "unix:${socket}"\nroot = "www"\nmax_connections = 2\nenv = { GREETING = "hi" }
[fastcgi."/front/"]\nconnect = "unix:${socket}"\nenv = { SCRIPT_FILENAME = "${folder}/front.php" }\n`,
      files: PHP,
    });

    await t.test('a page', async () => {
      const reply = await ask(running.port, '/app/hello.php?name=you');
      assert.deepEqual([reply.status, reply.headers['x-who'], reply.body], [201, 'php', 'hello you']);
      assert.match(String(reply.headers['content-type']), /^text\/html/);
    });

    await t.test('one script for everything', async () => {
      assert.equal((await ask(running.port, '/front/a%20b/c?q=1')).body, 'front /front /a b/c 1');
    });

    await t.test('what it is told', async () => {
      const { body } = await ask(running.port, '/app/server.php/a%20b?c', {
        headers: { 'X-Custom': 'yes', Authorization: 'x' },
      });
      const lines = body.split('\n');
      for (const line of [
        'SCRIPT_NAME=/app/server.php',
        'PATH_INFO=/a b',
        'QUERY_STRING=c',
        'REQUEST_URI=/app/server.php/a%20b?c',
        `SCRIPT_FILENAME=${join(running.folder, 'www/server.php')}`,
        `DOCUMENT_ROOT=${join(running.folder, 'www')}`,
        'HTTP_X_CUSTOM=yes',
        'GREETING=hi',
        'GATEWAY_INTERFACE=CGI/1.1',
      ]) {
        assert.ok(lines.includes(line), `${line} in ${body}`);
      }
      assert.ok(!lines.some((line) => /^(HTTP_AUTHORIZATION|PATH)=/.test(line)), body);
    });

    await t.test('an upload of 8 MB, which is in a file, and a small one, which is not', async () => {
      for (const size of [8 << 20, 1000]) {
        const content = Buffer.alloc(size, 'upload ');
        const { createHash } = await import('node:crypto');
        const body = Buffer.concat([
          Buffer.from('--xx\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'),
          content,
          Buffer.from('\r\n--xx--\r\n'),
        ]);
        const headers = { 'Content-Type': 'multipart/form-data; boundary=xx' };
        const reply = await ask(running.port, '/app/upload.php', { method: 'POST', headers, body });
        assert.equal(reply.body, `a.bin ${size} ${createHash('md5').update(content).digest('hex')}`);
      }
    });

    await t.test('a session', async () => {
      const first = await ask(running.port, '/app/session.php');
      const cookie = /PHPSESSID=\w+/.exec(String(first.headers['set-cookie']))?.[0] ?? '';
      assert.equal((await ask(running.port, '/app/session.php', { headers: { cookie } })).body, '2');
    });

    await t.test('stderr goes to the log', async () => {
      assert.equal((await ask(running.port, '/app/loud.php')).body, 'ok');
      await running.logged((line) => line['from'] === 'stderr' && /logged/.test(line.message));
    });

    await t.test('64 MiB arrive whole, in bounded memory, though the client waits', async () => {
      const before = memoryOf(running.pid, 'VmRSS');
      const [response] = (await once(request(running.url('/app/big.php')).end(), 'response')) as [IncomingMessage];
      // Nothing is read while another request is served beside it.
      assert.equal((await ask(running.port, '/app/hello.php')).status, 201);
      let bytes = 0;
      let last = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        last = chunk.at(-1) ?? 0;
      }
      assert.deepEqual([bytes, last, response.complete], [64 << 20, 65 + (1023 % 26), true]);
      const grown = memoryOf(running.pid, 'VmRSS') - before;
      assert.ok(grown < 48 << 10, `${grown} KiB more`);
    });

    await t.test('folders, and what is no script', async () => {
      const folderReply = await ask(running.port, '/app/sub?x');
      assert.deepEqual([folderReply.status, folderReply.headers['location']], [301, './sub/?x']);
      assert.equal((await ask(running.port, '/app/sub/')).body, 'index /app/sub/index.php');
      assert.equal((await ask(running.port, '/app/')).body, 'index /app/index.php');
      for (const [path, status] of [
        ['/app/picture.jpg', 403],
        ['/app/picture.jpg/x.php', 403],
        ['/app/none.php', 404],
        ['/app/sub/../../fpm.conf', 404],
      ] as const) {
        const reply = await ask(running.port, path);
        assert.equal(reply.status, status, path);
        assert.ok(!reply.body.includes('program in a picture'));
      }
    });

    await t.test('HEAD', async () => {
      const reply = await ask(running.port, '/app/hello.php', { method: 'HEAD' });
      assert.deepEqual([reply.status, reply.headers['x-who'], reply.body], [201, 'php', '']);
    });

    await t.test('it goes away: 502, and when it comes back it is used again', async () => {
      master.kill('SIGTERM');
      await until('its socket is gone', () => !existsSync(socket));
      assert.equal((await ask(running.port, '/app/hello.php')).status, 502);
      await running.logged((line) => /no such socket \(ENOENT\)/.test(line.message));
      await startPhpFpm(t, folder, 1);
      assert.equal((await ask(running.port, '/app/hello.php')).status, 201);
    });
  });
}

/** A gateway in front of one application, without a root. */
async function inFrontOf(
  t: TestContext,
  engine: string,
  answer: (socket: Socket) => void,
  keys = '',
): Promise<{ running: Running; app: Application }> {
  const app = await application(t, answer);
  const config = `${listen(engine)}[fastcgi."/app/"]\nconnect = "tcp://127.0.0.1:${app.port}"\n${keys}`;
  return { running: await startGateway(t, { config }), app };
}

const get = (running: Running, path = '/app/x'): ReturnType<typeof rawRequest> =>
  rawRequest(running.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
const requestLine = (running: Running, path = '/app/x'): ReturnType<Running['logged']> =>
  running.logged((line) => line.message === `GET ${path}`);

interface Case {
  readonly name: string;
  readonly answer: (socket: Socket) => void;
  readonly status: number;
  readonly complete?: boolean;
  readonly body?: string;
  readonly log?: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: 'a whole answer, in pieces and padded',
    answer: (socket) =>
      socket.end(Buffer.concat([recordOf(6, 'X: y\n', 3), recordOf(6, '\nab', 5), recordOf(6, 'c'), endRecord(0, 0)])),
    status: 200,
    body: 'abc',
  },
  {
    name: 'a status other than 0 after a whole document',
    answer: (socket) => socket.end(Buffer.concat([recordOf(6, '\nabc'), endRecord(7, 0)])),
    status: 200,
    body: 'abc',
  },
  { name: 'it hangs up', answer: (socket) => socket.end(), status: 502, log: /closed the connection before/ },
  { name: 'it resets', answer: (socket) => socket.resetAndDestroy(), status: 502, log: /connection was lost before/ },
  {
    name: 'it talks HTTP',
    answer: (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    status: 502,
    log: /not FastCGI/,
  },
  { name: 'garbage', answer: (socket) => socket.end(Buffer.alloc(1000, 7)), status: 502, log: /not FastCGI/ },
  {
    name: 'nothing but an end',
    answer: (socket) => socket.end(endRecord(1, 0)),
    status: 502,
    log: /wrote nothing; status 1/,
  },
  {
    name: 'no header, but words on stderr',
    answer: (socket) =>
      socket.end(
        Buffer.concat([recordOf(7, 'Primary script unknown'), recordOf(6, 'File not found.\n'), endRecord(0, 0)]),
      ),
    status: 502,
    log: /no colon: "File not found\."/,
  },
  { name: 'overloaded', answer: (socket) => socket.end(endRecord(0, 2)), status: 503, log: /overloaded/ },
  { name: 'not in this role', answer: (socket) => socket.end(endRecord(0, 3)), status: 502, log: /unknown-role/ },
  {
    name: 'it dies in the middle of a document',
    answer: (socket) => socket.end(recordOf(6, '\nhalf')),
    status: 200,
    complete: false,
    body: 'half',
    log: /it died: it closed the connection before the end/,
  },
  {
    name: 'it dies in the middle of a record',
    answer: (socket) => socket.end(recordOf(6, '\nhalf and more').subarray(0, 13)),
    status: 200,
    complete: false,
    body: 'half',
  },
  {
    name: 'garbage in the middle of a document',
    answer: (socket) => socket.end(Buffer.concat([recordOf(6, '\nhalf'), Buffer.alloc(8)])),
    status: 200,
    complete: false,
    log: /not FastCGI/,
  },
];

for (const engine of ENGINES) {
  test(`applications that misbehave (${engine})`, async (t) => {
    const apps = await Promise.all(CASES.map(({ answer }) => application(t, answer)));
    const routes = apps.map(({ port }, at) => `[fastcgi."/${at}/"]\nconnect = "tcp://127.0.0.1:${port}"\n`);
    const running = await startGateway(t, { config: listen(engine) + routes.join('') });
    for (const [at, { name, status, complete = true, body, log }] of CASES.entries()) {
      await t.test(name, async () => {
        const reply = await get(running, `/${at}/x`);
        assert.deepEqual([reply.status, reply.complete], [status, complete]);
        if (body !== undefined) assert.equal(reply.body.toString(), body);
        if (status === 503) assert.ok(reply.header('retry-after'));
        const { cut } = await requestLine(running, `/${at}/x`);
        assert.equal(cut !== undefined, !complete);
        if (log) await running.logged((line) => log.test(line.message) || log.test(String(line['cut'])));
        assert.ok(!running.log.some((line) => line.message === 'internal error'));
        await until('no connection is left', () => apps[at]?.open.size === 0);
      });
    }
  });

  test(`nobody listens (${engine})`, async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await until('a port', () => server.listening);
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const config = `${listen(engine)}[fastcgi."/app/"]\nconnect = "tcp://127.0.0.1:${port}"\n`;
    const running = await startGateway(t, { config });
    assert.equal((await get(running)).status, 502);
    await running.logged((line) => /nothing listens there/.test(line.message));
  });

  test(`it hangs: 504 before the header, a cut after it (${engine})`, async (t) => {
    const mute = await inFrontOf(t, engine, () => undefined, 'timeout = "200ms"\n');
    assert.equal((await get(mute.running)).status, 504);
    await until('the connection is given up', () => mute.app.open.size === 0);
    const stuck = await inFrontOf(t, engine, (socket) => socket.write(recordOf(6, '\nsome')), 'total_timeout = "1s"\n');
    const reply = await get(stuck.running);
    assert.deepEqual([reply.status, reply.complete, reply.body.toString()], [200, false, 'some']);
    assert.match(String((await requestLine(stuck.running))['cut']), /not finished after 1000 ms/);
    await until('the connection is given up', () => stuck.app.open.size === 0);
  });

  test(`a client that leaves ends the connection, and gives its place to the next (${engine})`, async (t) => {
    let answered = 0;
    const { running, app } = await inFrontOf(
      t,
      engine,
      (socket) => {
        if (++answered > 1) socket.end(Buffer.concat([recordOf(6, '\nnext'), endRecord(0, 0)]));
      },
      'max_connections = 1\nmax_waiting = 1\n',
    );
    const client = await RawClient.connect(running.port);
    client.send('GET /app/first HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the application has it', () => app.open.size === 1);
    const next = get(running);
    await until('the line is full', async () => {
      const third = await Promise.race([
        ask(running.port, '/app/third'),
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 500)),
      ]);
      return third?.status === 503 && third.headers['retry-after'] !== undefined;
    });
    client.destroy();
    assert.equal((await next).body.toString(), 'next');
    await until('no connection is left', () => app.open.size === 0);
  });

  test(`it answers before it has read the body, and never reads it (${engine})`, async (t) => {
    const { running, app } = await inFrontOf(t, engine, (socket) => {
      socket.pause();
      socket.write(Buffer.concat([recordOf(6, 'Content-Length: 5\n\nearly'), endRecord(0, 0)]));
    });
    const reply = await ask(running.port, '/app/x', { method: 'POST', body: Buffer.alloc(8 << 20) });
    assert.deepEqual([reply.status, reply.body], [200, 'early']);
    await until('no connection is left', () => [...app.open].every((socket) => socket.isPaused()));
  });

  test(`the body arrives, in memory or in a file (${engine})`, async (t) => {
    const sizes = [0, 1, 1000, 3 << 20];
    const apps = await Promise.all(sizes.map(() => application(t, (socket) => answerAfterBody(socket))));
    const routes = apps.map(({ port }, at) => `[fastcgi."/${at}/"]\nconnect = "tcp://127.0.0.1:${port}"\n`);
    const running = await startGateway(t, { config: listen(engine) + routes.join('') });
    for (const [at, app] of apps.entries()) {
      const body = Buffer.alloc(sizes[at] ?? 0, 'body');
      assert.equal((await ask(running.port, `/${at}/`, { method: 'POST', body })).body, 'read');
      assert.equal(stdinOf(app.received()).compare(body), 0);
    }
  });
}

/** Answers once the empty record of stdin has come, which is the last. */
function answerAfterBody(socket: Socket): void {
  let tail = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    tail = Buffer.concat([tail, chunk]).subarray(-8);
    if (tail.equals(Buffer.from([1, 5, 0, 1, 0, 0, 0, 0])))
      socket.end(Buffer.concat([recordOf(6, '\nread'), endRecord(0, 0)]));
  };
  socket.on('data', look);
}

/** What the records of type STDIN carry together. */
function stdinOf(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 4);
    if (bytes[at + 1] === 5) parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts);
}
