/** Whose programs they are, what they may use, how they print: seen through the running gateway. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ask, refused, TestSocket } from '../support/client.ts';
import { folderWith, runnel, startGateway } from '../support/gateway.ts';
import { processes, programsOf, until } from '../support/processes.ts';

const FILES = {
  'who.sh': '#!/bin/sh\nid -un; id -gn; echo "$HOME $USER $LOGNAME"; echo x > /dev/stderr; echo $?\n',
  'who.cgi': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; id -un; ulimit -n\n',
  'limits.sh': '#!/bin/sh\nulimit -v; ulimit -n; ulimit -f; ulimit -t; nice\n',
  'large.py':
    '#!/usr/bin/env python3\ntry:\n  bytearray(1 << 30)\n  print("had it")\nexcept MemoryError:\n  print("refused")\n',
  'forks.sh': `#!/bin/sh
echo $$
n=0
while [ $n -lt 60 ]; do sleep 100 & n=$((n+1)); done
`,
  'lines.sh': '#!/bin/sh\ngrep --color=auto o\n',
};

/** A user of this run alone: processes are counted by user, and the same test may run twice on one machine. */
const NOBODY_ELSE = 1_000_000 + process.pid;

const SPAWNERS = ['starter', 'posix', 'child_process'] as const;

for (const spawner of SPAWNERS) {
  describe(`programs by ${spawner}`, { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
    test('as another user, within limits', async (t) => {
      const running = await startGateway(t, {
        config: `
listen = [{ address = "127.0.0.1:0" }]
processes = { spawner = "${spawner}" }
[stream."/who"]
command = ["./who.sh"]
user = "daemon"
[stream."/group"]
command = ["id", "-gn"]
group = "daemon"
[stream."/overridden"]
command = ["sh", "-c", "echo $HOME"]
user = "daemon"
env = { HOME = "/elsewhere" }
[stream."/limits"]
command = ["./limits.sh"]
limits = { memory = "256MiB", open_files = 50, file_size = "1MiB", cpu_time = "7s", nice = 3 }
[stream."/large"]
command = ["./large.py"]
limits = { memory = "256MiB" }
[stream."/busy"]
command = ["sh", "-c", "while :; do :; done"]
limits = { cpu_time = "1s" }
[stream."/forks"]
command = ["./forks.sh"]
user = "${NOBODY_ELSE}"
group = "${NOBODY_ELSE}"
limits = { processes = 20 }
interrupt_after = "10ms"
terminate_after = "10ms"
kill_after = "10ms"
[cgi."/who.cgi"]
command = ["./who.cgi"]
user = "daemon"
[defaults]
limits = { open_files = 64 }
`,
        files: FILES,
      });
      chmodSync(running.folder, 0o755);
      const all = async (path: string) => {
        const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}${path}`);
        const closed = await socket.closed;
        return { lines: socket.messages, closed };
      };

      const who = await all('/who');
      // The pipes are the user's, so it may open them by path; what child_process has are sockets, which nobody can.
      assert.deepEqual(who.lines, [
        'daemon',
        'daemon',
        '/usr/sbin daemon daemon',
        spawner === 'child_process' ? '2' : '0',
      ]);
      assert.deepEqual((await all('/group')).lines, ['daemon']);
      assert.deepEqual((await all('/overridden')).lines, ['/elsewhere']);
      assert.equal((await ask(running.port, '/who.cgi')).body, 'daemon\n64\n');

      const { lines } = await all('/limits');
      const own = Number(lines[4]) - 3;
      assert.deepEqual(lines, ['262144', '50', '2048', '7', String(own + 3)]);
      assert.deepEqual((await all('/large')).lines, ['refused']);
      assert.deepEqual((await all('/busy')).closed, { code: 1011, reason: 'signal SIGXCPU' });

      const bomb = await TestSocket.open(`ws://127.0.0.1:${running.port}/forks`);
      const leader = Number((await bomb.first(1))[0]);
      const group = () => processes().filter(({ session, state }) => session === leader && state !== 'Z');
      // The shell may give up at the first fork that it is refused, so the most is what counts, not what is left then.
      let most = 0;
      const refused = running.logged((line) => line.message.includes('Cannot fork') || line.message.includes('fork:'));
      let over = false;
      void refused.then(() => {
        over = true;
      });
      await until('a fork is refused', () => {
        most = Math.max(most, group().length);
        return over;
      });
      assert.ok(most <= 20, `${most} processes`);
      bomb.ws.close();
      await until('the bomb is gone', () => group().length === 0);
    });
  });

  test(`unbuffer over ${spawner}, and the bound of all programs`, async (t) => {
    const running = await startGateway(t, {
      config: `
listen = [{ address = "127.0.0.1:0" }]
processes = { spawner = "${spawner}", max = 2 }
[stream."/held"]
command = ["./lines.sh"]
[stream."/live"]
command = ["./lines.sh"]
unbuffer = true
`,
      files: FILES,
    });
    const url = `ws://127.0.0.1:${running.port}`;
    const [held, live] = [await TestSocket.open(`${url}/held`), await TestSocket.open(`${url}/live`)];
    for (const socket of [held, live]) socket.ws.send('one');
    assert.deepEqual(await live.first(1), ['one']);
    assert.deepEqual(held.messages, []);
    const { status, headers } = await refused(`${url}/held`);
    assert.deepEqual([status, headers['retry-after']], [503, '5']);
    live.ws.close();
    held.ws.close();
    await until('no program is left', () =>
      programsOf(running.pid).every(({ command }) => !command.includes('lines.sh')),
    );
    const warned = running.log.some(({ message }) => message.includes('only stdbuf'));
    assert.equal(warned, spawner === 'child_process');
  });
}

test('check names what this machine cannot do, with its place', async (t) => {
  const config = `[defaults]
limits = { nice = 1 }
[stream."/a"]
command = ["true"]
user = "no-such-user"
[cgi."/b"]
command = ["true"]
group = "no-such-group"
limits = { processes = 5 }
`;
  const folder = folderWith(t, { 'runnel.toml': config });
  const { code, stderr } = await runnel(['check', '-c', join(folder, 'runnel.toml')], folder);
  assert.equal(code, 1);
  assert.match(stderr, /runnel\.toml:5:1: stream\."\/a"\.user: there is no user "no-such-user" in \/etc\/passwd\n/);
  assert.match(stderr, /runnel\.toml:8:1: cgi\."\/b"\.group: there is no group "no-such-group" in \/etc\/group\n/);
  if (process.getuid?.() === 0)
    assert.match(stderr, /runnel\.toml:9:12: cgi\."\/b"\.limits\.processes: has no effect on programs of root/);
});
