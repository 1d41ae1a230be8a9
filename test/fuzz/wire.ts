/** Sends bytes by chance to an engine, and now and then a proper request, which must be answered. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { EngineWish } from '../../src/engine/engine.ts';
import { rawRequest } from '../support/raw.ts';
import { Trial, text } from '../support/trial.ts';
import type { Hunted } from './hunt.ts';
import { Chance, mutated } from './mutate.ts';

const SEEDS = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85\x00\x00\x00\x00hello\x88\x80\x00\x00\x00\x00',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n',
].map((seed) => Buffer.from(seed, 'latin1'));

/** How many connections at once. */
const AT_ONCE = 20;
/** A connection that is left waiting is dropped after so long, milliseconds. */
const PATIENCE = 15;

export async function sendRubbish(
  engine: EngineWish,
  start: number,
  until: { readonly cases: number; readonly milliseconds: number },
): Promise<Hunted> {
  const trial = await Trial.start(engine, (exchange) => {
    const { handshake } = exchange;
    const handlers = { open() {}, message() {}, drain() {}, pong() {}, ping() {}, close() {} };
    const cancel = (): void => {};
    if (handshake !== undefined)
      exchange.upgrade({ protocol: undefined, headers: [], maxMessage: 1000, handlers, cancel });
    else if (exchange.hasBody) exchange.receive({ chunk: () => {}, end: () => exchange.reply(text('taken')) });
    else exchange.reply(text('ok'));
  });
  const end = Date.now() + until.milliseconds;
  let cases = 0;
  while (cases < until.cases && Date.now() < end) {
    const batch = Array.from({ length: AT_ONCE }, (_, at) => mutated(SEEDS, new Chance(start + cases + at)));
    await Promise.all(batch.map((bytes) => sent(trial.port, bytes)));
    cases += AT_ONCE;
    const reply = await rawRequest(trial.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(reply.status, 200, `from case ${start + cases - AT_ONCE} on`);
  }
  // Nothing that a client sends is an error of ours.
  await trial.close();
  assert.equal(trial.events.connections, 0, 'every connection is let go');
  return { cases };
}

function sent(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    // A reset is an answer, too.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on('connect', () => socket.write(bytes));
    socket.resume();
    setTimeout(() => socket.destroy(), PATIENCE);
  });
}
