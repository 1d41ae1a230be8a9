/** The folder that every server of a run serves: two files, two CGI programs; and the certificate that all of them have. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Authority } from '../support/certificates.ts';
import { OPENSSL, whereIs } from './programs.ts';

const HELLO_C = `#include <unistd.h>
int main(void) {
  static const char answer[] = "Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n";
  return write(1, answer, sizeof answer - 1) == sizeof answer - 1 ? 0 : 1;
}
`;
const HELLO_SH = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n"\n';

/** Where what is not compiled by tsc lies. */
const SOURCES = fileURLToPath(new URL('../../../test/bench', import.meta.url));

export interface Site {
  /** For configurations and sockets; everyone may read it. */
  readonly folder: string;
  /** Has the files 1k.bin and 100k.bin, and cgi-bin. */
  readonly www: string;
  /** Has the programs hello (C, static, where there is a compiler) and hello.sh. */
  readonly cgiBin: string;
  /** Files in PEM: ECDSA on P-256, the certificate alone. */
  readonly certificate: string;
  readonly key: string;
  remove(): void;
}

export function makeSite(): Site {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-bench-'));
  // Workers of a peer may run as another user.
  chmodSync(folder, 0o755);
  const www = join(folder, 'www');
  const cgiBin = join(www, 'cgi-bin');
  mkdirSync(cgiBin, { recursive: true });
  writeFileSync(join(www, '1k.bin'), Buffer.alloc(1024, 'x'));
  writeFileSync(join(www, '100k.bin'), Buffer.alloc(102_400, 'x'));
  writeFileSync(join(cgiBin, 'hello.sh'), HELLO_SH, { mode: 0o755 });
  const made = new Authority().server(['bench.test', '127.0.0.1']);
  const certificate = join(folder, 'certificate.pem');
  const key = join(folder, 'key.pem');
  writeFileSync(certificate, made.certificate);
  writeFileSync(key, made.pem);
  compile(folder, cgiBin);
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, www, cgiBin, certificate, key, remove };
}

/** In `folder` then: ticker, visits, pictures, viewers, connections, and of the last two another that speaks TLS (tls-…); in `cgiBin`: hello. What cannot be compiled is not there. */
function compile(folder: string, cgiBin: string): void {
  const gcc = whereIs('gcc');
  if (gcc === undefined) return;
  writeFileSync(join(folder, 'hello.c'), HELLO_C);
  execFileSync(gcc, ['-O2', '-static', '-o', join(cgiBin, 'hello'), join(folder, 'hello.c')]);
  const source = (name: string): string => join(SOURCES, `${name}.c`);
  for (const name of ['ticker', 'visits', 'viewers', 'connections', 'pictures'])
    execFileSync(gcc, ['-O2', '-static', '-pthread', '-o', join(folder, name), source(name)]);
  if (whereIs(OPENSSL) === undefined) return;
  for (const name of ['viewers', 'connections'])
    execFileSync(gcc, [
      '-O2',
      '-DTLS',
      '-pthread',
      '-o',
      join(folder, `tls-${name}`),
      source(name),
      '-lssl',
      '-lcrypto',
    ]);
}
