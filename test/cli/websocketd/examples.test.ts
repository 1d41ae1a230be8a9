/** What people write for websocketd in the languages of its examples: a counter, a greeter, what the environment has, and a loop that does two things. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, TestSocket } from '../../support/client.ts';
import { folderWith } from '../../support/gateway.ts';
import { freePort } from '../../support/ports.ts';
import { until } from '../../support/until.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

interface Language {
  readonly interpreter: string;
  /** Prints 1 to 5, with pauses. */
  readonly count: string;
  /** Answers each line. */
  readonly greet: string;
  /** Prints "NAME=value" of some variables, and of all that begin with HTTP_. */
  readonly environment: string;
}

const LANGUAGES: { readonly [name: string]: Language } = {
  bash: {
    interpreter: '/bin/bash',
    count: 'for ((n = 1; n <= 5; ++n)); do echo $n; sleep 0.05; done',
    greet: 'while read -r name; do echo "Good day, $name."; done',
    environment:
      'for name in REQUEST_METHOD QUERY_STRING REMOTE_ADDR SERVER_SOFTWARE; do echo "$name=$(printenv $name)"; done\nenv | grep "^HTTP_"',
  },
  perl: {
    interpreter: '/usr/bin/perl',
    count: 'use strict; $| = 1; for my $n (1 .. 5) { print "$n\n"; select undef, undef, undef, 0.05 }',
    greet: 'use strict; use IO::Handle; STDOUT->autoflush(1); while (<STDIN>) { chomp; print "Good day, $_.\n" }',
    environment:
      'use strict; print "$_=", $ENV{$_} // "none", "\n" for qw(REQUEST_METHOD QUERY_STRING REMOTE_ADDR SERVER_SOFTWARE); print "$_=$ENV{$_}\n" for grep { /^HTTP_/ } keys %ENV;',
  },
  python: {
    interpreter: '/usr/bin/python3',
    count: 'import sys, time\nfor n in range(1, 6):\n    print(n)\n    sys.stdout.flush()\n    time.sleep(0.05)',
    greet:
      'from sys import stdin, stdout\nwhile line := stdin.readline():\n    print("Good day, %s." % line.strip())\n    stdout.flush()',
    environment:
      'import os\nfor name in ("REQUEST_METHOD", "QUERY_STRING", "REMOTE_ADDR", "SERVER_SOFTWARE"):\n    print(name + "=" + os.environ.get(name, "none"))\nfor name in os.environ:\n    if name.startswith("HTTP_"): print(name + "=" + os.environ[name])',
  },
  ruby: {
    interpreter: '/usr/bin/ruby',
    count: '$stdout.sync = true\n(1..5).each { |n| puts n; sleep 0.05 }',
    greet: '$stdout.sync = true\nwhile line = $stdin.gets\n  puts "Good day, #{line.chomp}."\nend',
    environment:
      '%w[REQUEST_METHOD QUERY_STRING REMOTE_ADDR SERVER_SOFTWARE].each { |name| puts "#{name}=#{ENV[name] || "none"}" }\nENV.each { |name, value| puts "#{name}=#{value}" if name.start_with? "HTTP_" }',
  },
};

/** @returns its port */
async function start(t: TestContext, ...args: string[]): Promise<number> {
  const port = await freePort();
  const child = spawn(process.execPath, [MAIN, 'websocketd', `--port=${port}`, '--address=127.0.0.1', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await exited;
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(() => said.includes('ready') || child.exitCode !== null, `it to be ready: ${said}`);
  return port;
}

for (const [name, { interpreter, count, greet, environment }] of Object.entries(LANGUAGES))
  test(`programs in ${name}`, {
    skip: existsSync(interpreter) ? false : `${interpreter} is not installed`,
  }, async (t) => {
    const program = (text: string): string => `#!${interpreter}\n${text}\n`;
    const folder = folderWith(t, {
      count: program(count),
      greet: program(greet),
      environment: program(environment),
    });
    for (const file of ['count', 'greet', 'environment']) chmodSync(join(folder, file), 0o755);
    const port = await start(t, `--dir=${folder}`);
    const url = (path: string): string => `ws://127.0.0.1:${port}/${path}`;
    const counter = await TestSocket.open(url('count'));
    assert.deepEqual(await counter.first(5), ['1', '2', '3', '4', '5']);
    const greeter = await TestSocket.open(url('greet'));
    greeter.ws.send('Ann');
    assert.deepEqual(await greeter.first(1), ['Good day, Ann.']);
    greeter.ws.send('Zoë');
    assert.deepEqual(await greeter.first(2), ['Good day, Ann.', 'Good day, Zoë.']);
    greeter.ws.close();
    const teller = await TestSocket.open(url('environment?a=b&c'));
    const lines = (await teller.first(5)).map(String);
    assert.deepEqual(lines.slice(0, 3), ['REQUEST_METHOD=GET', 'QUERY_STRING=a=b&c', 'REMOTE_ADDR=127.0.0.1']);
    assert.match(lines[3] ?? '', /^SERVER_SOFTWARE=websocketd\//);
    assert.match(lines[4] ?? '', /^HTTP_/);
  });

test('a loop of bash that reads with a time and says how much has come, and a CGI program beside files', async (t) => {
  const folder = folderWith(t, {
    loop: '#!/bin/bash\nall=0\nwhile [ $all -lt 3 ]; do\n  while read -t 0.05 -r _; do ((all++)); done\n  echo "$all so far"\n  sleep 0.05 & wait\ndone\n',
    'cgi/hello.sh': '#!/bin/sh\necho "Content-Type: text/plain"\necho\necho "QUERY_STRING=$QUERY_STRING"\n',
    'www/index.html': '<p>a page\n',
  });
  chmodSync(join(folder, 'loop'), 0o755);
  chmodSync(join(folder, 'cgi/hello.sh'), 0o755);
  const port = await start(
    t,
    `--staticdir=${join(folder, 'www')}`,
    '--cgidir',
    join(folder, 'cgi'),
    join(folder, 'loop'),
  );
  const socket = await TestSocket.open(`ws://127.0.0.1:${port}/`);
  for (const line of ['a', 'b', 'c']) socket.ws.send(line);
  await until(() => socket.messages.at(-1) === '3 so far', 'the count of all lines');
  assert.equal((await ask(port, '/hello.sh?x')).body.trim(), 'QUERY_STRING=x');
  assert.equal((await ask(port, '/')).body, '<p>a page\n');
});
