/** Which addresses are of a LAN, and which commands are shells. */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { test } from 'node:test';
import { lanAddresses, machineAddresses } from '../../../src/cli/one-line/lan.ts';
import { shellIn } from '../../../src/cli/one-line/shell.ts';

function info(address: string, internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '', internal, cidr: null };
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' };
}

const BOARD = {
  lo: [info('127.0.0.1', true), info('::1', true)],
  docker0: [info('172.17.0.1')],
  'br-0123456789ab': [info('172.18.0.1')],
  wg0: [info('10.8.0.2')],
  eth0: [info('fd00::2'), info('fe80::1'), info('2001:db8::7'), info('192.168.1.7')],
  'br-lan': [info('192.168.8.1')],
  ppp0: [info('203.0.113.9')],
  usb0: [info('169.254.3.4'), info('192.168.1.7')],
};

test('of a board: what a LAN reaches, IPv4 first', () => {
  const all = machineAddresses(BOARD);
  assert.deepEqual(
    lanAddresses(all).map(({ address }) => address),
    ['192.168.1.7', '192.168.8.1', '169.254.3.4', 'fd00::2'],
  );
  assert.deepEqual(
    all.map(({ address }) => address).slice(4),
    ['2001:db8::7', '172.17.0.1', '172.18.0.1', '10.8.0.2', '203.0.113.9'].slice(0),
  );
});

for (const [address, isLan] of [
  ['10.1.2.3', true],
  ['172.15.0.1', false],
  ['172.16.0.1', true],
  ['172.31.255.255', true],
  ['172.32.0.1', false],
  ['192.168.0.1', true],
  ['100.64.0.1', false],
  ['192.0.2.2', false],
  ['8.8.8.8', false],
  ['fdab::1', true],
  ['2a00::1', false],
  ['fe80::5', false],
] as const)
  test(`${address} is ${isLan ? '' : 'not '}of a LAN`, () => {
    assert.equal(lanAddresses(machineAddresses({ eth0: [info(address)] })).length, isLan ? 1 : 0);
  });

for (const [command, shell] of [
  [['bash'], 'bash'],
  [['/bin/sh', '-i'], 'sh'],
  [['python3.11', '-u'], 'python3.11'],
  [['sudo', '-u', 'ann', 'zsh', '-l'], 'zsh'],
  [['docker', 'exec', '-i', 'box', 'sh'], 'sh'],
  [['env', 'A=b', 'busybox'], 'busybox'],
  [['ssh', 'board'], 'ssh'],
  [['sqlite3'], 'sqlite3'],
  [['sh', '-c', 'ls'], undefined],
  [['bash', 'poll.sh'], undefined],
  [['python3', 'read.py'], undefined],
  [['vmstat', '-n', '1'], undefined],
  [['-'], undefined],
] as const)
  test(`${command.join(' ')}: ${shell === undefined ? 'no shell' : `the shell ${shell}`}`, () => {
    assert.equal(shellIn(command), shell);
  });
