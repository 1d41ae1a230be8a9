/** testssl.sh over the default TLS settings: nothing of severity MEDIUM or above. A file for each engine, because it takes minutes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Authority } from './certificates.ts';
import { startGateway } from './gateway.ts';

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

const SEVERE: ReadonlySet<string> = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL']);
/** About the test's own certificate, which no public authority has issued; none of our settings changes these. */
const OF_THE_CERTIFICATE = /^(cert_|cert$|DNS_CAArecord|OCSP)/;

/** BoringSSL within uWebSockets.js takes the client's order, as Mozilla's guideline wants it where every suite is good. */
const OF_UWS = /^cipher_order(_|$)/;

/** Milliseconds that it may take on a machine that does much else. */
export const TESTSSL_TIME = 570_000;

export async function testsslFindsNothing(t: TestContext, engine: 'auto' | 'node'): Promise<void> {
  if (spawnSync('testssl', ['--version']).error !== undefined) return t.skip('needs testssl (Debian: testssl.sh)');
  const authority = new Authority();
  // RSA, because more can be wrong with it: finite fields, Bleichenbacher.
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const board = authority.server(['localhost', '127.0.0.1'], { key });
  const running = await startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
tls = { certificate = "board.pem", key = "board.key", hsts = "365d" }
[defaults]
headers = { X-Content-Type-Options = "nosniff" }
[static."/"]
root = "www"
`,
    files: {
      'board.pem': board.certificate,
      'board.key': board.pem,
      'ca.pem': authority.certificate,
      'www/index.html': 'hello',
    },
  });
  const results = join(running.folder, 'results.json');
  // Protocols, cipher categories, forward secrecy, preferences, the server's defaults, header fields, vulnerabilities.
  const checks = ['-p', '-s', '-f', '-P', '-S', '-h', '-U'];
  const quiet = [
    '--quiet',
    '--warnings',
    'batch',
    '--color',
    '0',
    '--nodns',
    'none',
    '--add-ca',
    join(running.folder, 'ca.pem'),
  ];
  const program = spawn('testssl', [...checks, ...quiet, '--jsonfile', results, `localhost:${running.port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => program.kill('SIGKILL'));
  let said = '';
  for (const stream of [program.stdout, program.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  await once(program, 'close');
  const findings = JSON.parse(readFileSync(results, 'utf8')) as readonly Finding[];
  for (const id of [
    'TLS1_2',
    'TLS1_3',
    'PFS',
    'cipher_order',
    'heartbleed',
    'ROBOT',
    'HSTS_time',
    'secure_client_renego',
  ])
    assert(
      findings.some((finding) => finding.id === id),
      `${id} was looked at\n${said}`,
    );
  assert.deepEqual(
    findings.filter(
      ({ id, severity }) =>
        SEVERE.has(severity) && !OF_THE_CERTIFICATE.test(id) && !(engine === 'auto' && OF_UWS.test(id)),
    ),
    [],
  );
  assert.equal(await running.stop(), 0);
}
