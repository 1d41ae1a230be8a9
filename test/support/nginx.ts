/** nginx, with what the test puts into its `server`: in front of a gateway, or as a server of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { folderWith } from './gateway.ts';
import { until } from './processes.ts';
import { tcpProxy } from './tcp-proxy.ts';

export const NGINX = '/usr/sbin/nginx';

/**
 * nginx in front of a gateway.
 *
 * @param gateway its port on 127.0.0.1, or the path of its Unix socket
 * @returns the port on which it serves
 */
export function nginx(t: TestContext, gateway: number | string, location: string): Promise<number> {
  const upstream = typeof gateway === 'number' ? `127.0.0.1:${gateway}` : `unix:${gateway}`;
  return startNginx(t, `location / {\n      proxy_pass http://${upstream};\n      ${location}\n    }`);
}

/**
 * @param modules of its own that it loads, by their paths
 * @returns the port on which it serves. It listens on a Unix socket behind that, because nginx cannot ask the system for a port.
 */
export async function startNginx(t: TestContext, server: string, modules: readonly string[] = []): Promise<number> {
  const folder = folderWith(t, {
    'nginx.conf': `${modules.map((path) => `load_module ${path};`).join('\n')}
daemon off;
master_process off;
error_log stderr;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen unix:nginx.sock;
    ${server}
  }
}
`,
  });
  const child = spawn(NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let noise = '';
  child.stderr.on('data', (bytes: Buffer) => {
    noise += bytes.toString();
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  const socket = join(folder, 'nginx.sock');
  await until('nginx listens', () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${noise}`);
    return existsSync(socket);
  });
  return (await tcpProxy(t, { to: socket })).port;
}
