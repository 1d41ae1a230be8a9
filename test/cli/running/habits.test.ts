/** Commands and flags that people type out of habit: each is told what to write here. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { commandMeant, quotesMeant } from '../../../src/cli/running/habits.ts';
import { listenAdvice } from '../../../src/cli/running/listen-advice.ts';
import { parseCommandLine, UsageError } from '../../../src/cli/verb.ts';
import { VERBS } from '../../../src/cli/verbs.ts';
import { ListenError } from '../../../src/engine/engine.ts';
import { readConfig } from '../../../src/gateway/config.ts';

describe('a word that is no command', () => {
  const cases: readonly (readonly [word: string, others: readonly string[], said: RegExp | undefined])[] = [
    ['start', [], /"runnel serve".*"sudo systemctl start runnel"/],
    ['restart', [], /systemctl restart runnel.*"runnel reload"/],
    ['test', [], /"runnel check"/],
    ['Configtest', [], /"runnel check"/],
    ['logs', [], /journalctl -u runnel -f/],
    ['passwd', [], /runnel hash-password NAME/],
    ['http.server', [], /runnel files FOLDER/],
    ['my.toml', [], /^write: runnel serve -c my\.toml$/],
    ['sh', ['-c', 'x'], /write: runnel run -- sh -c x$/],
    ['.', [], /write: runnel files \.$/],
    ['/bin/sh', [], /write: runnel run -- \/bin\/sh$/],
    ['nonsense', [], undefined],
    ['../../nonsense', [], undefined],
    ['', [], undefined],
    ['constructor', [], undefined],
  ];
  for (const [word, others, said] of cases)
    test(JSON.stringify(word), () => {
      const meant = commandMeant(word, others);
      if (said === undefined) assert.equal(meant, undefined);
      else assert.match(meant ?? '', said);
    });
});

describe('a command in quotes', () => {
  const cases: readonly (readonly [words: readonly string[], said: RegExp | undefined])[] = [
    [['vmstat -n 1'], /because of its quotes; write: runnel run -- vmstat -n 1$/],
    [['vmstat 1 | tail'], /no shell reads it; write: runnel run -- sh -c 'vmstat 1 \| tail'$/],
    [["echo 'a b'"], /write: runnel run -- sh -c 'echo '\\''a b'\\'''$/],
    [['vmstat'], undefined],
    [['sh', '-c', 'vmstat 1 | tail'], undefined],
  ];
  for (const [words, said] of cases)
    test(words.join(' '), () => {
      const meant = quotesMeant(words);
      if (said === undefined) assert.equal(meant, undefined);
      else assert.match(meant ?? '', said);
    });
});

describe('an argument or a flag that a command does not have', () => {
  const cases: readonly (readonly [verb: string, args: readonly string[], said: RegExp])[] = [
    ['serve', ['/'], /takes no argument "\/"; to serve the files of a folder, write: runnel files \/$/],
    ['check', ['my.toml'], /takes no argument "my\.toml"; write: runnel check -c my\.toml$/],
    ['serve', ['my.toml'], /write: runnel serve -c my\.toml$/],
    ['reload', ['my.toml'], /write: runnel reload -c my\.toml$/],
    ['status', ['my.toml'], /write: runnel status -c my\.toml$/],
    ['init', ['my.toml'], /takes no argument "my\.toml"; it prints the configuration: runnel init > my\.toml$/],
    ['version', ['x'], /takes no argument "x"$/],
    ['serve', ['-t'], /has no flag -t; to check the configuration, write: runnel check -c FILE$/],
    ['serve', ['--staticdir=www'], /has no flag --staticdir; the flags of websocketd go with: runnel websocketd$/],
    ['serve', ['-p', '80'], /has no flag -p; the port is in the configuration: \[\[listen\]\]/],
    ['serve', ['--daemon'], /for the background, use systemd: sudo systemctl start runnel$/],
    ['serve', ['-f', 'x'], /did you mean -c FILE\?$/],
    ['run', ['-p', '8080'], /has no flag -p; did you mean -l PORT\?$/],
    ['stop', ['--force'], /its flags are .* and --help$/],
  ];
  for (const [name, args, said] of cases)
    test([name, ...args].join(' '), async () => {
      const load = VERBS.get(name);
      assert(load !== undefined);
      const verb = await load();
      assert.throws(
        () => parseCommandLine(verb, args),
        (error) => error instanceof UsageError && said.test(error.message),
      );
    });
});

describe('an address that cannot be listened on', () => {
  const configWith = (address: string) => {
    const read = readConfig({ listen: [{ address }], stream: { '/': { command: ['true'] } } }, 'x', { directory: '/' });
    assert(read.ok);
    return read.config;
  };
  const refused = (address: string, code: string): string | undefined =>
    listenAdvice(configWith(address), new ListenError(address, code, 'it is refused'));

  test('in use: who has it, and which key has the port', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.match(
      refused(`127.0.0.1:${port}`, 'EADDRINUSE') ?? '',
      /^it is \S+: stop it.*, or change the port of address in \[\[listen\]\]$/,
    );
  });

  const cases: readonly (readonly [address: string, code: string, said: RegExp | undefined])[] = [
    [':80', 'EACCES', /^ports below 1024 need a right: .*CAP_NET_BIND_SERVICE.*":8080"$/],
    [':8080', 'EACCES', undefined],
    ['192.0.2.7:8080', 'EADDRNOTAVAIL', /^"ip addr".*":8080" is every one of them$/],
    ['unix:/nowhere.sock', 'EADDRINUSE', undefined],
  ];
  for (const [address, code, said] of cases)
    test(`${address}, ${code}`, () => {
      const advice = refused(address, code);
      if (said === undefined) assert.equal(advice, undefined);
      else assert.match(advice ?? '', said);
    });
});
