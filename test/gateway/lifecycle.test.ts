import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ask, TestSocket } from '../support/client.ts';
import { folderWith, runnel, startGateway, startRunnel } from '../support/gateway.ts';
import { processes, programsOf, until } from '../support/processes.ts';

const PAGE = { 'www/index.html': '<!doctype html><title>x</title>' };

test('check: a right configuration', async (t) => {
  const folder = folderWith(t, { ...PAGE, 'runnel.toml': '[static."/"]\nroot = "www"\n' });
  const { code, stdout, stderr } = await runnel(['check'], folder);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.match(stdout, /^ok: :8080; 1 route; checked as the user \S+\n$/);
});

test('check and serve: every problem of a wrong one, with its place', async (t) => {
  const folder = folderWith(t, { 'runnel.toml': '[static."/"]\nrot = "www"\n[stream."/x"]\ncommand = "vmstat 1"\n' });
  for (const verb of ['check', 'serve']) {
    const { code, stderr } = await runnel([verb], folder);
    assert.equal(code, 1);
    assert.match(stderr, /runnel\.toml:2:1: static\."\/"\.rot: unknown key; did you mean "root"\?/);
    assert.match(stderr, /runnel\.toml:4:1: stream\."\/x"\.command: must be a list of strings/);
  }
});

test('serve: no configuration at all', async (t) => {
  const { code, stderr } = await runnel(['serve', '-c', 'gone.toml'], folderWith(t, {}));
  assert.equal(code, 1);
  assert.match(stderr, /gone\.toml/);
});

const WRONG_LINES: readonly [args: readonly string[], says: RegExp][] = [
  [['serv'], /there is no command "serv"; did you mean "serve"\?/],
  [['serve', '--confg', 'x'], /no flag --confg; did you mean --config\?/],
  [['run'], /needs a command: runnel run -- vmstat -n 1/],
  [['run', '--listen', 'nowhere', '--', 'true'], /-l: must be an address/],
  [['run', '--', 'no-such-program-here'], /no-such-program-here/],
  [['version', 'x'], /runnel version takes no argument "x"/],
  [['help', 'serv'], /there is no command "serv"; did you mean "serve"\?/],
];

for (const [args, says] of WRONG_LINES) {
  test(`the command line is wrong: ${args.join(' ')}`, async (t) => {
    const { code, stderr } = await runnel(args, folderWith(t, {}));
    assert.equal(code, 2);
    assert.match(stderr, says);
    assert.match(stderr, /runnel help/);
  });
}

test('help fits a screen, version names itself, schema is JSON Schema', async (t) => {
  const folder = folderWith(t, {});
  const help = await runnel(['help'], folder);
  assert.equal(help.code, 0);
  const lines = help.stdout.split('\n');
  assert.ok(lines.length <= 24 && lines.every((line) => line.length <= 100), help.stdout);
  assert.match(
    (await runnel(['help', 'run'], folder)).stdout,
    /--listen ADDRESS +where to listen \(default 127\.0\.0\.1:8080, for this machine alone\)/,
  );
  assert.match((await runnel(['--version'], folder)).stdout, /^runnel \d+\.\d+\.\d+ /);
  const schema = JSON.parse((await runnel(['schema'], folder)).stdout) as { properties: object };
  assert.deepEqual(Object.keys(schema.properties).includes('stream'), true);
});

for (const engine of ['uws', 'node']) {
  const config = (port: number): string =>
    `[[listen]]\naddress = "127.0.0.1:${port}"\nengine = "${engine}"\n[static."/"]\nroot = "www"\n`;

  test(`a port in use is exit 71 (${engine})`, async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    const { code, stdout } = await runnel(['serve'], folderWith(t, { ...PAGE, 'runnel.toml': config(port) }));
    assert.equal(code, 71);
    assert.match(stdout, /cannot listen on 127\.0\.0\.1:\d+: .*in use/);
  });

  test(`a port that another runnel has is exit 71 (${engine})`, async (t) => {
    const first = await startGateway(t, { config: config(0), files: PAGE });
    const { code } = await runnel(['serve'], folderWith(t, { ...PAGE, 'runnel.toml': config(first.port) }));
    assert.equal(code, 71);
  });

  test(`TERM drains: a request under way is finished, a stream is told, no program is left (${engine})`, async (t) => {
    const running = await startGateway(t, {
      config: `${config(0)}[cgi."/slow"]\ncommand = ["./slow.cgi"]\n[stream."/sleep"]\ncommand = ["sh", "-c", "sleep 1000 & sleep 1000"]\n`,
      files: {
        ...PAGE,
        'slow.cgi':
          '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nbegin\\n"\nwhile [ ! -e go ]; do sleep 0.1; done\necho end\n',
      },
    });
    const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/sleep`);
    const slow = ask(running.port, '/slow');
    await until('both programs run', () => programsOf(running.pid).length >= 2);
    const session = programsOf(running.pid).find(({ command }) => command.includes('sleep 1000'))?.session;
    const code = running.stop();
    assert.deepEqual(await socket.closed, { code: 1001, reason: 'the gateway is stopping (SIGTERM)' });
    await assert.rejects(ask(running.port, '/'), 'nobody is accepted any more');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${running.folder}/go`, '');
    assert.equal((await slow).body, 'begin\nend\n');
    assert.equal(await code, 0);
    assert.equal(
      processes().some((entry) => entry.session === session && entry.state !== 'Z'),
      false,
      'nothing of the stream is left',
    );
  });

  test(`INT twice does not wait (${engine})`, async (t) => {
    const running = await startGateway(t, {
      config: `stop_timeout = "10m"\n${config(0)}[cgi."/stuck"]\ncommand = ["sleep", "1000"]\n`,
      files: PAGE,
    });
    const stuck = ask(running.port, '/stuck').catch(() => undefined);
    await until('it runs', () => programsOf(running.pid).some(({ command }) => command === 'sleep 1000'));
    void running.stop('SIGINT');
    await running.logged((line) => line.message === 'SIGINT: stopping');
    assert.equal(await running.stop('SIGINT'), 0);
    await stuck;
  });
}

test('run: a page and the stream at one address', async (t) => {
  const running = await startRunnel(t, ['run', '-l', '127.0.0.1:0', '--', 'sh', '-c', 'echo "<b>"; cat'], {
    folder: folderWith(t, {}),
  });
  const page = await ask(running.port, '/', { headers: { accept: 'text/html,*/*' } });
  assert.equal(page.status, 200);
  assert.match(page.body, /sh -c echo &quot;&lt;b&gt;&quot;; cat/);
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/`);
  socket.ws.send('typed');
  assert.deepEqual(await socket.first(2), ['<b>', 'typed']);
  assert.equal(await running.stop('SIGINT'), 0);
});

test('KILL leaves no program behind', async (t) => {
  const running = await startGateway(t, {
    config: '[[listen]]\naddress = "127.0.0.1:0"\n[stream."/s"]\ncommand = ["sleep", "1000"]\n',
    files: PAGE,
  });
  await TestSocket.open(`ws://127.0.0.1:${running.port}/s`);
  const left = programsOf(running.pid).map(({ pid }) => pid);
  assert.ok(left.length >= 1);
  await running.stop('SIGKILL');
  await until('its programs are gone', () => !processes().some(({ pid }) => left.includes(pid)));
});
