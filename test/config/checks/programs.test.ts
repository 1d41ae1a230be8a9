/** What a machine cannot do to programs is a problem with a place in the file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Confinement, Objections } from '../../../src/config/keys/programs.ts';
import { formatProblem } from '../../../src/config/reading/problems.ts';
import { parseConfig } from '../../../src/gateway/config.ts';

function problems(text: string, objections: Objections): readonly string[] {
  const result = parseConfig(Buffer.from(text), 'f.toml', { directory: '/', objections });
  return result.ok ? [] : result.problems.map(formatProblem);
}

const ROUTES = `[defaults]
limits = { nice = -5, cpu_time = "1.5s" }
[stream."/a"]
command = ["/bin/sh"]
user = "eve"
[cgi."/b"]
command = ["/bin/sh"]
limits = { memory = "2MiB", nice = 3 }
[static."/"]
root = "/"
`;

test('each route is asked about with what it inherits, as numbers', () => {
  const asked: Confinement[] = [];
  problems(ROUTES, (confinement) => {
    asked.push(confinement);
    return [];
  });
  const none = { processes: undefined, open_files: undefined, file_size: undefined };
  assert.deepEqual(asked, [
    { user: undefined, group: undefined, limits: { ...none, memory: 2 << 20, cpu_time: 1500, nice: 3 } },
    { user: 'eve', group: undefined, limits: { ...none, memory: undefined, cpu_time: 1500, nice: -5 } },
  ]);
});

test('an objection is told where what it is about was written, once', () => {
  const objections: Objections = ({ user, limits }) => [
    ...(user === undefined ? [] : [{ key: ['user'] as const, message: 'is nobody' }]),
    ...(limits.nice === undefined ? [] : [{ key: ['limits', 'nice'] as const, message: 'cannot be' }]),
    { key: ['limits', 'cpu_time'], message: 'is no use' },
  ];
  assert.deepEqual(problems(ROUTES, objections), [
    'f.toml:2:12: defaults.limits.nice: cannot be',
    'f.toml:2:23: defaults.limits.cpu_time: is no use',
    'f.toml:5:1: stream."/a".user: is nobody',
    'f.toml:8:29: cgi."/b".limits.nice: cannot be',
  ]);
});

test('wrong values elsewhere hide nothing, and are told once', () => {
  const text = `[stream."/a"]\ncommand = ["/bin/sh"]\nuser = "eve"\nlimits = { memory = 5 }\nshare = 3\n`;
  const said = problems(text, () => [{ key: ['user'], message: 'is nobody' }]);
  assert.equal(said.length, 3);
  assert.equal(said.filter((line) => line.includes('is nobody')).length, 1);
  assert.equal(said.filter((line) => line.includes('limits.memory')).length, 1);
});

test('files that only serve files have no limits for programs', () => {
  const said = problems('[static."/"]\nroot = "/"\nlimits = { memory = "2MiB" }\n', () => []);
  assert.match(said.join(), /static\."\/"\.limits\.memory: unknown key/);
});
