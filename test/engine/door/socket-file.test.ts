import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { listenOnPath } from '../../../src/engine/door/socket-file.ts';
import type { SocketFile } from '../../../src/engine/engine.ts';
import { until } from '../../support/until.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-socket-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function serverOf(t: TestContext): Server {
  const server = createServer((socket) => socket.destroy());
  t.after(() => server.close());
  return server;
}

/** Permissions, owner and group of the socket that is made. */
function made(t: TestContext, file: SocketFile): readonly [mode: string, owner: number, group: number] {
  const path = join(folderOf(t), 's');
  listenOnPath(serverOf(t), path, file);
  const { mode, uid, gid } = statSync(path);
  return [(mode & 0o777).toString(8), uid, gid];
}

describe('the file of a Unix socket', () => {
  test('has the permissions that are asked for, else those of the umask, which stays as it was', (t) => {
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const before = process.umask(0o027);
    try {
      assert.deepEqual(made(t, {}), ['750', uid, gid]);
      assert.deepEqual(made(t, { mode: 0o666 }), ['666', uid, gid]);
      assert.deepEqual(made(t, { mode: 0o602 }), ['602', uid, gid]);
      assert.deepEqual(made(t, { group: gid }), ['750', uid, gid]);
      assert.equal(process.umask(), 0o027);
    } finally {
      process.umask(before);
    }
  });

  test('has the owner and the group that are asked for', { skip: isRoot ? false : 'needs root' }, (t) => {
    const before = process.umask(0o022);
    t.after(() => process.umask(before));
    assert.deepEqual(made(t, { mode: 0o660, owner: NOBODY, group: 1 }), ['660', NOBODY, 1]);
    assert.deepEqual(made(t, { mode: 0o620, group: 4_294_967_294 }), ['620', 0, 4_294_967_294]);
    assert.deepEqual(made(t, { owner: NOBODY }), ['755', NOBODY, 0]);
  });

  test('is not there when it cannot be given away', { skip: isRoot ? false : 'needs root' }, (t) => {
    const server = serverOf(t);
    const folder = folderOf(t);
    chmodSync(folder, 0o777);
    const given = join(folder, 's');
    process.seteuid?.(NOBODY);
    try {
      assert.throws(() => listenOnPath(server, given, { mode: 0o660, owner: 1 }), {
        code: 'EPERM',
        message: /only root can give it to another user/,
      });
    } finally {
      process.seteuid?.(0);
    }
    assert.equal(server.listening, false);
    assert.equal(existsSync(given), false);
  });

  test('a path that is taken is told by the server, and is not touched', async (t) => {
    const path = join(folderOf(t), 's');
    listenOnPath(serverOf(t), path, { mode: 0o600 });
    const second = createServer();
    const refused = new Promise<NodeJS.ErrnoException>((resolve) => second.once('error', resolve));
    listenOnPath(second, path, { mode: 0o666 });
    assert.equal((await refused).code, 'EADDRINUSE');
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test('at no moment somebody else may connect', { skip: isRoot ? false : 'needs root' }, async (t) => {
    const folder = folderOf(t);
    const path = join(folder, 's');
    const before = process.umask(0);
    t.after(() => process.umask(before));
    // The folder hides nothing.
    chmodSync(folder, 0o777);
    const script = `
      const { connect } = require('node:net');
      let tries = 0;
      process.stdin.resume();
      process.stdin.on('end', () => { console.log('over'); process.exit(); });
      const attempt = () => {
        const socket = connect(${JSON.stringify(path)});
        socket.on('connect', () => { console.log('connected'); process.exit(); });
        socket.on('error', ({ code }) => {
          if (code === 'EACCES' && ++tries === 200) console.log('enough');
          setImmediate(attempt);
        });
      };
      attempt();`;
    const other = spawn(process.execPath, ['-e', script], { uid: NOBODY, gid: NOBODY });
    let output = '';
    other.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    const ended = new Promise((resolve) => other.once('close', resolve));
    await until(() => {
      for (let times = 0; times < 50; times++) {
        const server = createServer();
        listenOnPath(server, path, { mode: 0o660, group: 1 });
        server.close();
      }
      return output.length > 0;
    }, 'many attempts to connect');
    other.stdin.end();
    await ended;
    assert.match(output, /^enough\n(over\n)?$/);
  });
});
