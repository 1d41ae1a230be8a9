/** Cameras: each picture is one binary message, whatever the camera's habits, two in one read or one in two hundred. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import WebSocket from 'ws';
import { CAMERAS, fakePicture, startCamera } from '../../../support/cameras.ts';
import { until } from '../../../support/processes.ts';
import { startSubscribed } from '../../../support/subscribed.ts';

const PICTURES = Array.from({ length: 10 }, (_, number) => fakePicture(number));

test('pictures come whole and as they were', async (t) => {
  const streams: Record<string, string> = {};
  const names: string[] = [];
  for (const [name, habits] of CAMERAS)
    for (const size of [100, 3001, 50_000]) {
      const port = await startCamera(t, habits, PICTURES, size);
      streams[`/${names.length}`] = `subscribe = "http://127.0.0.1:${port}/video"\nmax_behind = "1MiB"`;
      names.push(`${name}, ${size} bytes at a time`);
    }
  const running = await startSubscribed(t, streams);
  for (const [at, name] of names.entries()) {
    const got: Buffer[] = [];
    const viewer = new WebSocket(`ws://127.0.0.1:${running.port}/${at}`);
    viewer.on('message', (data: Buffer, binary) => {
      assert.ok(binary, name);
      got.push(data);
    });
    await once(viewer, 'open');
    await until(name, () => got.length >= PICTURES.length);
    for (const [index, picture] of PICTURES.entries())
      assert.ok(got[index]?.equals(picture), `${name}: picture ${index}`);
    viewer.terminate();
  }
  assert.equal(await running.stop(), 0);
});
