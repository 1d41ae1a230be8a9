/** Much, a gigabyte on the engine that might tear it, through a program and back over wss: nothing is lost, reordered or torn, in either direction. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { Authority } from '../../support/certificates.ts';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/until.ts';

const MIB = 1 << 20;
const LENGTH = 64 * 1024;
/** How much may be on its way: what the program's queue holds. */
const WINDOW = 32 << 20;

/** Lines of text without their ends, each another. */
function lines(): readonly string[] {
  return Array.from({ length: 16 }, (_, at) =>
    createHash('sha512')
      .update(String(at))
      .digest('base64url')
      .repeat(LENGTH)
      .slice(0, LENGTH - 1),
  );
}

for (const [engine, total] of [
  ['auto', 1024 * MIB],
  ['node', 128 * MIB],
] as const)
  test(`${engine}: ${total / MIB} MiB through cat over wss, both directions at once`, {
    timeout: 600_000,
  }, async (t) => {
    const board = new Authority().server(['board.test', '127.0.0.1']);
    const running = await startGateway(t, {
      config: `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
tls = { certificate = "board.pem", key = "board.key" }
[stream."/cat"]
command = ["cat"]
max_queue = "64MiB"
[defaults.limits]
messages_per_second = 0
message_bytes_per_second = "0B"
`,
      files: { 'board.pem': board.certificate, 'board.key': board.pem },
    });
    const ws = new WebSocket(`wss://127.0.0.1:${running.port}/cat`, {
      perMessageDeflate: false,
      rejectUnauthorized: false,
    });
    await once(ws, 'open');
    const texts = lines();
    const [sent, received] = [createHash('sha256'), createHash('sha256')];
    const count = total / LENGTH;
    let [out, back] = [0, 0];
    const send = (): void => {
      while (out < count && (out - back) * LENGTH < WINDOW) {
        const text = texts[out++ % texts.length] ?? '';
        sent.update(text);
        ws.send(text);
      }
    };
    let ended: string | undefined;
    ws.on('message', (data: Buffer) => {
      back++;
      received.update(data);
      send();
    });
    ws.on('close', (code, reason) => {
      ended = `closed with ${code} ${reason.toString()} after ${back} of ${count}`;
    });
    ws.on('error', () => {});
    send();
    await until(() => back === count || ended !== undefined, 'all of it', 500_000);
    assert.equal(ended, undefined);
    assert.equal(received.digest('hex'), sent.digest('hex'));
    ws.close();
    await until(() => ended !== undefined, 'the close');
    assert.equal(await running.stop(), 0);
  });
