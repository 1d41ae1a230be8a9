import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseRemote, type Remote } from '../../../src/config/values/remote.ts';

describe('where to connect to', () => {
  const tcp = (text: string, host: string, port: number): Remote => ({ kind: 'tcp', host, port, text });
  const unix = (text: string, path: string): Remote => ({ kind: 'unix', path, text });
  const cases: readonly (readonly [string, Remote | undefined])[] = [
    ['tcp://127.0.0.1:1883', tcp('tcp://127.0.0.1:1883', '127.0.0.1', 1883)],
    ['tcp://broker.lan:1883', tcp('tcp://broker.lan:1883', 'broker.lan', 1883)],
    ['tcp://localhost:65535', tcp('tcp://localhost:65535', 'localhost', 65535)],
    ['tcp://[::1]:1', tcp('tcp://[::1]:1', '::1', 1)],
    ['tcp://[fe80::1%eth0]:80', tcp('tcp://[fe80::1%eth0]:80', 'fe80::1%eth0', 80)],
    ['unix:/run/broker.sock', unix('unix:/run/broker.sock', '/run/broker.sock')],
    ['unix:broker.sock', unix('unix:broker.sock', '/etc/runnel/broker.sock')],
    [`unix:/${'x'.repeat(106)}`, unix(`unix:/${'x'.repeat(106)}`, `/${'x'.repeat(106)}`)],
    [`unix:/${'x'.repeat(107)}`, undefined],
    ['', undefined],
    ['127.0.0.1:1883', undefined],
    ['tcp:127.0.0.1:1883', undefined],
    ['tcp://127.0.0.1', undefined],
    ['tcp://127.0.0.1:', undefined],
    ['tcp://127.0.0.1:0', undefined],
    ['tcp://127.0.0.1:65536', undefined],
    ['tcp://127.0.0.1:1883/', undefined],
    ['tcp://127.1:1883', undefined],
    ['tcp://1:1883', undefined],
    ['tcp://::1:1883', undefined],
    ['tcp://[127.0.0.1]:1883', undefined],
    ['tcp://[::1]', undefined],
    ['tcp://user@host:1883', undefined],
    ['tcp://a b:1883', undefined],
    ['tls://broker:8883', undefined],
    ['http://broker:80', undefined],
    ['unix:', undefined],
    ['unix://run/broker.sock', undefined],
    ['unix:a\0b', undefined],
  ];
  for (const [text, expected] of cases)
    test(JSON.stringify(text).slice(0, 60), () => assert.deepEqual(parseRemote(text, '/etc/runnel'), expected));
});
