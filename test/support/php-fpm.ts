/** php-fpm as Debian ships it, started for one test on a socket in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from './processes.ts';

/** The newest php-fpm of this machine; undefined without one. */
export function phpFpm(): string | undefined {
  if (!existsSync('/usr/sbin')) return undefined;
  const name = readdirSync('/usr/sbin')
    .filter((entry) => /^php-fpm\d/.test(entry))
    .sort()
    .at(-1);
  return name === undefined ? undefined : join('/usr/sbin', name);
}

/** Starts it with `children` workers; gives its socket's path and the master process. */
export async function startPhpFpm(
  t: TestContext,
  folder: string,
  children: number,
): Promise<{ readonly socket: string; readonly master: ChildProcess }> {
  const program = phpFpm();
  if (program === undefined) throw new Error('there is no php-fpm');
  const socket = join(folder, 'fpm.sock');
  const log = join(folder, 'fpm.log');
  const config = join(folder, 'fpm.conf');
  writeFileSync(
    config,
    `[global]
error_log = ${log}
daemonize = no
[test]
user = root
group = root
listen = ${socket}
pm = static
pm.max_children = ${children}
catch_workers_output = yes
clear_env = yes
php_admin_value[upload_tmp_dir] = ${folder}
php_admin_value[session.save_path] = ${folder}
php_admin_value[upload_max_filesize] = 64M
php_admin_value[post_max_size] = 64M
php_admin_value[display_errors] = stderr
php_admin_value[log_errors] = off
`,
  );
  const master = spawn(program, ['-n', '-R', '-F', '-y', config], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => master.once('exit', () => resolve()));
  // TERM and not KILL, which would leave its workers behind.
  t.after(async () => {
    master.kill('SIGTERM');
    await exited;
  });
  await until('php-fpm listens', () => listens(socket));
  return { socket, master };
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
