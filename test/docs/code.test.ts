/** The code of every page, apart from configurations and command lines, is code: what reads its language finds nothing wrong with it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { transformSync } from 'esbuild';
import { folderWith } from '../support/gateway.ts';
import { NGINX } from '../support/nginx.ts';
import { type Block, readPages } from './pages.ts';

const blocks = readPages().flatMap((page) => page.blocks);
const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';
/** Every language that a block may have. `test/docs/configurations.test.ts` reads TOML. */
const LANGUAGES = ['', 'c', 'html', 'ini', 'js', 'json', 'logrotate', 'nginx', 'python', 'sh', 'text', 'toml', 'yaml'];

const of = (...languages: readonly string[]): readonly Block[] =>
  blocks.filter(({ language }) => languages.includes(language));

const isUnit = ({ text }: Block): boolean => /^\[(Unit|Service|Socket|Install)\]$/m.test(text);

/** Fails with what `judge` says of the blocks, each with its page and line. */
function noneIsWrong(of: readonly Block[], judge: (text: string) => string): void {
  const found = of.flatMap(({ page, line, text }) => {
    const said = judge(text);
    return said === '' ? [] : [`${page}:${line}: ${said}`];
  });
  assert.equal(found.join('\n'), '');
}

/** What a program says that is given the text and ends with another status than 0. */
function judged(t: TestContext, program: string, args: (file: string) => readonly string[]): (text: string) => string {
  const folder = folderWith(t, {});
  let number = 0;
  return (text) => {
    const file = join(folderWith(t, { [`block-${++number}`]: text }), `block-${number}`);
    const { status, stderr } = spawnSync(program, args(file), { cwd: folder, encoding: 'utf8' });
    return status === 0 ? '' : `${stderr}`;
  };
}

function scriptTrouble(text: string, target = 'esnext'): string {
  try {
    transformSync(text, { loader: 'js', target, logLevel: 'silent' });
    return '';
  } catch (error) {
    return String(error);
  }
}

test('a block has a language that some test reads', () => {
  noneIsWrong(
    blocks.filter(({ language }) => !LANGUAGES.includes(language)),
    () => `no test reads this language; those are ${LANGUAGES.join(', ')}`,
  );
});

test('JavaScript', () => noneIsWrong(of('js'), scriptTrouble));

test('HTML: its scripts, and that each element ends', () =>
  noneIsWrong(of('html'), (text) => {
    const scripts = [...text.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(([, script = '']) => script);
    const open: string[] = [];
    for (const [, slash, name = ''] of text
      .replaceAll(/<script[\s\S]*?<\/script>|<!--[\s\S]*?-->/g, '')
      .matchAll(/<(\/?)([a-z]\w*)[^>]*>/g)) {
      if (/^(meta|link|img|input|br|hr)$/.test(name)) continue;
      if (slash === '') open.push(name);
      else if (open.pop() !== name) return `</${name}> ends another element`;
    }
    // These need not be ended.
    const left = open.filter((name) => !['html', 'head', 'body', 'p', 'li'].includes(name));
    return [...scripts.map((script) => scriptTrouble(script)), ...left.map((name) => `<${name}> has no end`)].join('');
  }));

test('JSON', () =>
  noneIsWrong(of('json'), (text) => {
    try {
      JSON.parse(text);
      return '';
    } catch (error) {
      return String(error);
    }
  }));

test('shell', (t) =>
  noneIsWrong(
    of('sh'),
    judged(t, 'bash', (file) => ['-n', file]),
  ));

test('Python', (t) => {
  if (of('python').length === 0) return;
  if (!existsSync('/usr/bin/python3')) return t.skip('needs python3');
  const program = 'import ast, sys; ast.parse(open(sys.argv[1]).read())';
  noneIsWrong(
    of('python'),
    judged(t, '/usr/bin/python3', (file) => ['-c', program, file]),
  );
});

test('C', (t) => {
  if (of('c').length === 0) return;
  if (!existsSync('/usr/bin/gcc')) return t.skip('needs gcc');
  noneIsWrong(
    of('c'),
    judged(t, '/usr/bin/gcc', (file) => ['-fsyntax-only', '-Wall', '-Werror', '-x', 'c', file]),
  );
});

test('parts of a configuration of nginx', (t) => {
  if (!existsSync(NGINX) || !existsSync(NCHAN)) return t.skip('needs nginx with nchan');
  const folder = folderWith(t, {});
  noneIsWrong(of('nginx'), (text) => {
    const server = /^\s*(server|http)\b/.test(text)
      ? text
      : `server { listen 127.0.0.1:1; ${/^\s*location/.test(text) ? text : `location / { ${text} }`} }`;
    const load = text.includes('nchan_') ? `load_module ${NCHAN};\n` : '';
    const file = `${load}pid nginx.pid;\nevents {}\nhttp { access_log off;\n${server.replaceAll('$remote_user', '$host')}\n}\n`;
    return judged(t, NGINX, (path) => ['-t', '-q', '-p', folder, '-e', 'stderr', '-c', path])(file);
  });
});

/** systemd as it reads a unit; a drop-in is read with a unit of its own. */
test('units of systemd', (t) => {
  const units = of('ini').filter(isUnit);
  if (!existsSync('/usr/bin/systemd-analyze')) return t.skip('needs systemd-analyze');
  noneIsWrong(units, (text) => {
    const isSocket = text.includes('[Socket]');
    const rest = `${text}\n[Unit]\nDescription=of the test\n${isSocket || text.includes('ExecStart=/') ? '' : '[Service]\nExecStart=/bin/true\n'}`;
    const name = isSocket ? 'of-the-test.socket' : 'of-the-test.service';
    const folder = folderWith(t, {
      [name]: rest,
      'of-the-test.service': isSocket ? '[Service]\nExecStart=/bin/true\n' : rest,
    });
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, name)], { encoding: 'utf8' });
    return stderr
      .split('\n')
      .filter((line) => line.includes('of-the-test') && /unknown|invalid|failed to parse|missing/i.test(line))
      .join('\n');
  });
});

test('logrotate', (t) => {
  if (!existsSync('/usr/sbin/logrotate')) return t.skip('needs logrotate');
  const user = 'su runnel runnel';
  noneIsWrong(of('logrotate'), (text) =>
    judged(t, '/usr/sbin/logrotate', (file) => ['-d', file])(
      text.replace(user, 'su root root').replaceAll(' runnel runnel', ' root root'),
    ),
  );
});

const FAIL2BAN = '/usr/bin/fail2ban-client';

/** Every other block of this language is jails: each has the expressions of its filter, which test/ops/logging/files.test.ts gives a real log. */
test('jails of fail2ban', (t) => {
  if (!existsSync(FAIL2BAN)) return t.skip('needs fail2ban');
  const jails = of('ini').filter((block) => !isUnit(block));
  assert.ok(jails.length > 0);
  noneIsWrong(jails, (text) => {
    const folder = folderWith(t, { 'access.log': '' });
    cpSync('/etc/fail2ban', folder, { recursive: true });
    // Those of Debian are about logs that this machine need not have.
    writeFileSync(join(folder, 'jail.d/defaults-debian.conf'), '');
    writeFileSync(
      join(folder, 'jail.d/runnel.conf'),
      text.replaceAll('/var/log/runnel/access.log', join(folder, 'access.log')),
    );
    const { status, stdout, stderr } = spawnSync(FAIL2BAN, ['-c', folder, '-d'], { encoding: 'utf8' });
    const names = [...text.matchAll(/^\[(.+)\]$/gm)].map(([, name = '']) => name);
    const without = names.filter((name) => !stdout.includes(`'${name}', 'addfailregex'`));
    return status === 0 && without.length === 0 ? '' : `${stderr}\nwithout an expression: ${without.join(', ')}`;
  });
});

test('YAML', (t) => {
  const program = 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))';
  if (spawnSync('/usr/bin/python3', ['-c', 'import yaml']).status !== 0) return t.skip('needs python3-yaml');
  noneIsWrong(
    of('yaml'),
    judged(t, '/usr/bin/python3', (file) => ['-c', program, file]),
  );
});

test('configurations of Prometheus, with the rules that they name', (t) => {
  if (spawnSync('promtool', ['--version']).error !== undefined) return t.skip('needs promtool');
  const configurations = of('yaml').filter(({ text }) => text.includes('scrape_configs:'));
  assert.ok(configurations.length > 0);
  const rules = readFileSync('deploy/prometheus/runnel-alerts.yml');
  noneIsWrong(configurations, (text) => {
    const folder = folderWith(t, { 'runnel-alerts.yml': rules, 'prometheus.yml': text });
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', join(folder, 'prometheus.yml')], {
      encoding: 'utf8',
    });
    return status === 0 && /[1-9]\d* rules found/.test(stdout) ? '' : `${stdout}${stderr}`;
  });
});
