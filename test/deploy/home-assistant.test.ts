/** The add-on for Home Assistant, as far as it can be tried without one: its description, and what it starts. And the image's compose.yaml. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestSocket } from '../support/client.ts';
import { folderWith, runnel, startRunnel } from '../support/gateway.ts';

const ADDON = fileURLToPath(new URL('../../../deploy/home-assistant', import.meta.url));
const COMPOSE = fileURLToPath(new URL('../../../deploy/image/compose.yaml', import.meta.url));

/** The keys of https://developers.home-assistant.io/docs/add-ons/configuration that this add-on may need. */
const REQUIRED = ['name', 'version', 'slug', 'description', 'arch'];
const OPTIONAL = [
  'url',
  'startup',
  'boot',
  'ingress',
  'ingress_port',
  'ingress_entry',
  'ingress_stream',
  'panel_icon',
  'panel_title',
  'panel_admin',
  'map',
  'ports',
  'ports_description',
  'options',
  'schema',
  'environment',
  'tmpfs',
  'devices',
  'stage',
  'watchdog',
];

const noYaml = spawnSync('python3', ['-c', 'import yaml']).status === 0 ? false : 'needs python3-yaml';

/** A file of YAML, read by a reader of its own. */
function readYaml(file: string): Record<string, unknown> {
  const program = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';
  const { status, stdout, stderr } = spawnSync('python3', ['-c', program, file], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('the description has the keys that Home Assistant knows, and fits the configuration', { skip: noYaml }, () => {
  const described = readYaml(join(ADDON, 'config.yaml'));
  const keys = Object.keys(described);
  assert.deepEqual(
    REQUIRED.filter((key) => !keys.includes(key)),
    [],
  );
  assert.deepEqual(
    keys.filter((key) => !REQUIRED.includes(key) && !OPTIONAL.includes(key)),
    [],
  );
  assert.deepEqual(Object.keys(described['options'] as object), Object.keys(described['schema'] as object));
  assert.deepEqual(Object.keys(described['ports'] as object), Object.keys(described['ports_description'] as object));
  const toml = readFileSync(join(ADDON, 'runnel.toml'), 'utf8');
  assert.ok(toml.includes(`address = ":${described['ingress_port']}"`));
  for (const port of Object.keys(described['ports'] as object))
    assert.ok(toml.includes(`address = ":${port.replace('/tcp', '')}"`));
  const configuration = (described['options'] as { configuration: string }).configuration;
  const [, pattern = ''] =
    /^match\((.*)\)$/.exec((described['schema'] as { configuration: string }).configuration) ?? [];
  assert.match(configuration, new RegExp(pattern));
});

test('its start puts a configuration that is right into the folder, and keeps what is there; it serves behind ingress', async (t) => {
  const folder = folderWith(t, { 'options.json': '{"configuration": "runnel.toml"}' });
  const run = (options: string) =>
    spawnSync('sh', [join(ADDON, 'run.sh'), folder, join(folder, options), 'echo', 'runnel'], { encoding: 'utf8' });
  assert.equal(run('options.json').stdout, `runnel serve -c ${folder}/runnel.toml\n`);
  const checked = await runnel(['check', '-c', join(folder, 'runnel.toml')], folder);
  assert.equal(checked.code, 0, checked.stderr + checked.stdout);

  const own = readFileSync(join(folder, 'runnel.toml'), 'utf8')
    .replace(/":(8099|8080)"/g, '"127.0.0.1:0"')
    .replace('"127.0.0.1:9180"', '"127.0.0.1:0"')
    .replace('"172.30.32.2"', '"127.0.0.1"');
  writeFileSync(join(folder, 'here.toml'), own);
  const gateway = await startRunnel(t, ['serve', '-c', join(folder, 'here.toml')], { folder });
  // What Home Assistant adds to a browser's request, and then the Supervisor: the address of Home Assistant.
  const headers = {
    'X-Ingress-Path': '/api/hassio_ingress/x',
    'X-Forwarded-For': '192.0.2.1, 172.30.32.1',
    'X-Forwarded-Host': 'homeassistant.local:8123',
    'X-Forwarded-Proto': 'https',
  };
  const page = await fetch(gateway.url('/'), { headers });
  assert.match(await page.text(), /live\/machine/);
  const { client } = await gateway.logged(({ message }) => message === 'GET /');
  assert.equal(client, '192.0.2.1', 'the browser, and not Home Assistant');
  assert.equal((await fetch(gateway.url('/.runnel/client.js'), { headers })).status, 200);
  const socket = await TestSocket.open(`ws://127.0.0.1:${gateway.port}/live/machine`, {
    headers: { ...headers, Host: 'homeassistant.local:8123', Origin: 'https://homeassistant.local:8123' },
  });
  const [line = ''] = await socket.first(1);
  assert.match(line, /^\d+\.\d+ /);

  writeFileSync(join(folder, 'runnel.toml'), '# own');
  run('options.json');
  assert.equal(readFileSync(join(folder, 'runnel.toml'), 'utf8'), '# own');
  writeFileSync(join(folder, 'other.json'), '{"configuration": "other.toml"}');
  assert.equal(run('other.json').stdout, `runnel serve -c ${folder}/other.toml\n`);
});

test('compose.yaml is well-formed, gives no more rights than needed, and asks for the health', { skip: noYaml }, () => {
  const { services } = readYaml(COMPOSE) as { services: { runnel: Record<string, unknown> } };
  const { runnel: service } = services;
  assert.deepEqual([service['read_only'], service['cap_drop']], [true, ['ALL']]);
  const health = (service['healthcheck'] as { test: readonly string[] }).test;
  const [, admin = ''] =
    /^\[admin\]\nlisten = "(.+)"$/m.exec(readFileSync(join(dirname(COMPOSE), 'runnel.toml'), 'utf8')) ?? [];
  assert.deepEqual([health[0], health.at(-1)], ['CMD', `http://${admin}/healthz`]);
  assert.ok((service['tmpfs'] as string[]).some((mount) => mount.startsWith('/tmp:exec')));
});
