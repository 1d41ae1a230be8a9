/** The broker of Debian's package mosquitto, at a port of 127.0.0.1 and on a Unix socket, for one test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { folderWith } from './gateway.ts';
import { freePort } from './ports.ts';
import { until } from './processes.ts';

const PROGRAM = '/usr/sbin/mosquitto';
export const HAS_MOSQUITTO = existsSync(PROGRAM);

export interface Broker {
  readonly port: number;
  /** MQTT by WebSocket, with the subprotocol "mqtt". */
  readonly webSocketPort: number;
  readonly socket: string;
}

const answers = (target: { readonly port: number; readonly host: string } | { readonly path: string }) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(target);
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

/** Ended with the test. It keeps every message of a client that is slow: by itself it would drop those beyond a thousand. */
export async function startMosquitto(t: TestContext): Promise<Broker> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const webSocketPort = await freePort();
    const folder = folderWith(t, {});
    const socket = join(folder, 'broker.sock');
    const file = join(
      folderWith(t, {
        'mosquitto.conf': `listener ${port} 127.0.0.1
listener ${webSocketPort} 127.0.0.1
protocol websockets
listener 0 ${socket}
user root
allow_anonymous true
persistence false
max_queued_messages 0
log_dest stderr
log_type error
log_type warning
`,
      }),
      'mosquitto.conf',
    );
    const child = spawn(PROGRAM, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const exited = once(child, 'exit');
    t.after(async () => {
      child.kill();
      await exited;
    });
    await until(
      'the broker answers',
      async () =>
        child.exitCode !== null || ((await answers({ host: '127.0.0.1', port })) && (await answers({ path: socket }))),
    );
    if (child.exitCode === null) return { port, webSocketPort, socket };
    // Somebody else may have taken the port meanwhile.
    if (attempt === 5) throw new Error(`mosquitto does not start: ${said}`);
  }
}
