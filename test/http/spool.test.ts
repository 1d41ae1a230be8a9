/** `limits.body_time`: for the whole of a small body, and for each 16 MiB of a large one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../../src/config/keys/routes.ts';
import type { BodyReceiver, Exchange } from '../../src/engine/engine.ts';
import { HttpError } from '../../src/http/errors.ts';
import type { Body } from '../../src/http/handler.ts';
import { BodyClock, type Spool, spoolBody } from '../../src/http/spool.ts';

const MIB = 1 << 20;

function begin(bodyTime: number): { readonly spool: Spool; readonly body: BodyReceiver } {
  let body: BodyReceiver | undefined;
  const exchange = {
    contentLength: undefined,
    receive: (receiver: BodyReceiver) => {
      body = receiver;
    },
  };
  const limits = { body: 64 * MIB, body_memory: 64 * MIB, body_time: bodyTime, body_rate: 0, rate_window: 1000 };
  const spool = spoolBody(
    exchange as unknown as Exchange,
    limits as unknown as Limits,
    new BodyClock(),
    performance.now(),
  );
  assert(body !== undefined);
  return { spool, body };
}

const whole = (spool: Spool): Promise<Body> =>
  new Promise((resolve, reject) =>
    spool.whenDone((outcome) => (outcome instanceof HttpError ? reject(outcome) : resolve(outcome))),
  );

test('a large body that keeps coming is not late', async () => {
  const { spool, body } = begin(6000);
  const done = whole(spool);
  await sleep(4000);
  body.chunk(Buffer.alloc(16 * MIB));
  await sleep(4000);
  body.chunk(Buffer.alloc(10));
  body.end();
  assert.equal((await done).length, 16 * MIB + 10);
  spool.release();
});

for (const [bytes, said] of [
  [0, 'the body did not arrive'],
  [16 * MIB - 1, 'the body did not arrive'],
  [16 * MIB, 'the next 16 MiB of the body did not arrive'],
] as const) {
  test(`after ${bytes} bytes nothing more comes: 408, and which key it was`, async () => {
    const { spool, body } = begin(50);
    if (bytes > 0) body.chunk(Buffer.alloc(bytes));
    await assert.rejects(whole(spool), (error) => {
      assert(error instanceof HttpError);
      assert.equal(error.status, 408);
      assert(error.message.startsWith(said) && error.message.includes('limits.body_time'), error.message);
      return true;
    });
  });
}
