/** The service file for Avahi, read by the real daemon in a network of its own, and what a browser of services then sees. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const DAEMON = '/usr/sbin/avahi-daemon';
const SERVICE = fileURLToPath(new URL('../../../deploy/avahi/runnel.service', import.meta.url));

const CONFIG = `[server]
host-name=board
use-ipv6=no
allow-interfaces=lan0
enable-dbus=no
`;

/** A LAN, and folders that no other daemon of this machine has. */
const NETWORK = `set -e
ip link set lo up
ip link add lan0 type veth peer name lan1
ip addr add 192.168.7.5/24 dev lan0
ip link set lan0 up; ip link set lan1 up
mount -t tmpfs tmpfs /run
mkdir /run/avahi-daemon
exec "$@"`;
const inNetwork = ['unshare', '--mount', '--net', '--propagation=private', 'sh', '-c', NETWORK, 'sh'];
/** As the file says it is installed. */
const INSTALLED =
  'mount -t tmpfs tmpfs /etc/avahi; mkdir /etc/avahi/services; cp "$1" /etc/avahi/services/; shift; exec "$@"';

/** Asks who has the service: as RFC 6762, section 6.7 has it for those that do not listen at port 5353. Prints the answer in base64. */
const ASK = `
const socket = require('node:dgram').createSocket('udp4');
const name = Buffer.concat(['_http', '_tcp', 'local', ''].map((label) => Buffer.from(String.fromCharCode(label.length) + label)));
const question = Buffer.concat([Buffer.from([0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), name, Buffer.from([0, 12, 0, 1])]);
socket.bind(0, '192.168.7.5', () => {
  socket.setMulticastInterface('192.168.7.5');
  const ask = () => socket.send(question, 5353, '224.0.0.251');
  setInterval(ask, 250);
  ask();
});
socket.on('message', (answer) => {
  process.stdout.write(answer.toString('base64'));
  process.exit();
});`;

const PTR = 12;
const SRV = 33;

/** The names and ports that an answer of DNS has: RFC 1035, section 4.1, and RFC 2782. */
function services(answer: Buffer): { readonly instances: readonly string[]; readonly ports: readonly number[] } {
  const nameAt = (start: number): { readonly labels: readonly string[]; readonly end: number } => {
    const labels: string[] = [];
    let at = start;
    for (let length = answer.readUInt8(at); length !== 0; length = answer.readUInt8(at)) {
      if (length >= 0xc0)
        return { labels: [...labels, ...nameAt(answer.readUInt16BE(at) & 0x3fff).labels], end: at + 2 };
      labels.push(answer.toString('utf8', at + 1, at + 1 + length));
      at += 1 + length;
    }
    return { labels, end: at + 1 };
  };
  const count = (at: number): number => answer.readUInt16BE(at);
  let at = 12;
  for (let questions = count(4); questions > 0; questions -= 1) at = nameAt(at).end + 4;
  const instances: string[] = [];
  const ports: number[] = [];
  for (let records = count(6) + count(8) + count(10); records > 0; records -= 1) {
    const { end } = nameAt(at);
    const type = answer.readUInt16BE(end);
    const data = end + 10;
    if (type === PTR) instances.push(nameAt(data).labels.join('.'));
    if (type === SRV) ports.push(answer.readUInt16BE(data + 4));
    at = data + answer.readUInt16BE(end + 8);
  }
  return { instances, ports };
}

function missing(): string | false {
  if (!existsSync(DAEMON)) return 'avahi-daemon is not installed';
  return spawnSync('unshare', [...inNetwork.slice(1), 'true']).status === 0 ? false : 'no network can be made here';
}

test('avahi-daemon takes the service file, and announces the port of the package', { skip: missing() }, async (t) => {
  const folder = folderWith(t, { 'avahi.conf': CONFIG });
  const daemon = [DAEMON, '--file', join(folder, 'avahi.conf'), '--no-drop-root', '--no-chroot', '--no-rlimits'];
  const [program = '', ...args] = [...inNetwork, 'sh', '-c', INSTALLED, 'sh', SERVICE, ...daemon];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill();
    await ended;
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(() => {
    assert.equal(child.exitCode, null, said);
    return said.includes('Service "runnel on board" (/etc/avahi/services/runnel.service) successfully established.');
  }, 'the service');
  const asked = spawnSync('nsenter', ['--net', '--target', String(child.pid), process.execPath, '-e', ASK], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual(
    services(Buffer.from(asked.stdout, 'base64')),
    { instances: ['runnel on board._http._tcp.local'], ports: [8080] },
    asked.stderr,
  );
});
