/** A FastCGI request that is given up, or cannot be written: its place and its connection are free again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fastcgiHandler } from '../../../src/handlers/fastcgi/handler.ts';
import { HttpError } from '../../../src/http/errors.ts';
import { type Call, cancelAnswer, type Handler } from '../../../src/http/handler.ts';
import { Log } from '../../../src/ops/log.ts';
import { fakeCall } from '../../support/call.ts';
import { configOf } from '../../support/config.ts';
import { type Application, application, endRecord, recordOf } from '../../support/fastcgi-application.ts';
import { until } from '../../support/processes.ts';

const CALL = { path: '/app/x', route: '/app/' };
const log = new Log({ format: 'json', level: 'error', colour: false, descriptor: 2 });

/** One place, and one may wait for it. */
function handlerFor(app: Application): Handler {
  const route = { connect: `tcp://127.0.0.1:${app.port}`, max_connections: 1, max_waiting: 1 };
  const config = configOf({ fastcgi: { '/app/': route } }).fastcgi.get('/app/');
  assert.ok(config !== undefined);
  const tallies = { busy: { add: () => undefined } };
  return fastcgiHandler(config, { route: '/app/', version: '1', log, tallies, documentRoot: undefined } as never);
}

const answering = (t: Parameters<typeof application>[0]): Promise<Application> =>
  application(t, (socket) => socket.end(Buffer.concat([recordOf(6, 'Status: 201\n\n'), endRecord(0, 0)])));

/** The only place is free again, or will be. */
async function works(handler: Handler, app: Application): Promise<void> {
  await until('nobody is connected', () => app.open.size === 0);
  const answer = await handler.handle(fakeCall(CALL));
  assert.ok('status' in answer);
  assert.equal(answer.status, 201);
  // Whoever has an answer owes its body a start or a cancel.
  cancelAnswer(answer);
}

test('variables that cannot be made leave no connection and no place behind', async (t) => {
  const app = await answering(t);
  const handler = handlerFor(app);
  const call: Call = Object.defineProperty({ ...fakeCall(CALL) }, 'user', {
    get() {
      throw new TypeError('no user');
    },
  });
  for (let time = 0; time < 5; time++) await assert.rejects(Promise.resolve(handler.handle(call)), /no user/);
  await works(handler, app);
  await handler.close();
});

test('a client that leaves while the connection is made, after any number of turns', async (t) => {
  const app = await answering(t);
  const handler = handlerFor(app);
  for (let turns = 0; turns < 12; turns++) {
    const call = fakeCall(CALL);
    const answer = Promise.resolve(handler.handle(call)).catch((error: unknown) => error);
    for (let turn = 0; turn < turns; turn++) await (turn % 2 === 0 ? Promise.resolve() : new Promise(setImmediate));
    call.abort();
    const result = await answer;
    // Later than that it may have its answer.
    assert.ok((result instanceof HttpError && result.status === 499) || turns > 4, `${turns}: ${String(result)}`);
    await works(handler, app);
  }
  await handler.close();
});
