/** motion, as Debian has it, between two gateways in one: it takes pictures from a stream of runnel, and runnel shows its stream to many. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../../../support/gateway.ts';
import { PartsViewer } from '../../../support/parts.ts';
import { freePort } from '../../../support/ports.ts';
import { connectionsOf, until } from '../../../support/processes.ts';
import { startSubscribed } from '../../../support/subscribed.ts';

const MOTION = '/usr/bin/motion';
const VIEWERS = 20;
/** Draws a clock of 280 by 80 pixels. */
const CLOCK = fileURLToPath(new URL('../../../../../config/demo/clock.sh', import.meta.url));
/** motion looks again for a camera only every ten seconds. */
const PATIENCE = 150_000;

/** @returns motion, which shows at `port` what it sees at `camera` */
async function startMotion(t: TestContext, camera: string, port: number): Promise<ChildProcess> {
  const folder = folderWith(t, {
    'motion.conf': `netcam_url ${camera}
width 280
height 80
framerate 5
emulate_motion off
picture_output off
movie_output off
stream_port ${port}
stream_localhost on
stream_maxrate 5
webcontrol_port 0
`,
  });
  const child = spawn(MOTION, ['-n', '-c', join(folder, 'motion.conf')], { cwd: folder, stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  return child;
}

test('the pictures of motion go to twenty viewers by one connection, also after motion was started again', {
  skip: existsSync(MOTION) ? false : 'motion is not installed',
}, async (t) => {
  const port = await freePort();
  const gateway = await startSubscribed(t, {
    '/camera': `command = ["${CLOCK}"]\nframing = "jpeg"\nshare = "all"`,
    '/cam': `subscribe = "http://127.0.0.1:${port}/"`,
  });
  const camera = gateway.url('/camera?transport=parts');
  const motion = await startMotion(t, camera, port);

  const seen: number[] = Array(VIEWERS).fill(0);
  for (const at of seen.keys()) {
    const viewer = await PartsViewer.open(gateway.port, '/cam?transport=parts');
    void (async () => {
      for (;;) {
        const { type, data } = await viewer.next();
        assert.equal(type, 'image/jpeg');
        assert.deepEqual([data.readUInt16BE(0), data.readUInt16BE(data.length - 2)], [0xffd8, 0xffd9]);
        seen[at] = (seen[at] ?? 0) + 1;
      }
    })().catch((error: unknown) => {
      if (!viewer.over) throw error;
    });
  }
  const connections = () => connectionsOf(gateway.pid).filter((line) => line.split(' ')[1] === String(port));
  const more = async (what: string): Promise<void> => {
    const before = [...seen];
    await until(
      () => `${what}: ${seen} after ${before}`,
      () => seen.every((count, at) => count >= (before[at] ?? 0) + 3),
      PATIENCE,
    );
    assert.equal(connections().filter((line) => line.endsWith('established')).length, 1);
  };
  await more('pictures for everybody');

  motion.kill();
  await once(motion, 'exit');
  await startMotion(t, camera, port);
  await more('pictures again');
});
