/** The folder that every server of a run serves: two files, two CGI programs. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whereIs } from './programs.ts';

const HELLO_C = `#include <unistd.h>
int main(void) {
  static const char answer[] = "Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n";
  return write(1, answer, sizeof answer - 1) == sizeof answer - 1 ? 0 : 1;
}
`;
const HELLO_SH = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n"\n';

export interface Site {
  /** For configurations and sockets; everyone may read it. */
  readonly folder: string;
  /** Has the files 1k.bin and 100k.bin, and cgi-bin. */
  readonly www: string;
  /** Has the programs hello (C, static, where there is a compiler) and hello.sh. */
  readonly cgiBin: string;
  /** Whether hello is there. */
  readonly compiled: boolean;
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
  const gcc = whereIs('gcc');
  if (gcc !== undefined) {
    writeFileSync(join(folder, 'hello.c'), HELLO_C);
    execFileSync(gcc, ['-O2', '-static', '-o', join(cgiBin, 'hello'), join(folder, 'hello.c')]);
  }
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, www, cgiBin, compiled: gcc !== undefined, remove };
}
