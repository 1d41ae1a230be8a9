/** Who arrives in the moment of a reload is let in: an EventSource that is refused once never comes again. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startGateway } from '../support/gateway.ts';

const RELOADS = 50;

const CONFIG = (engine: string, generation: number): string => `
[[listen]]
address = "127.0.0.1:0"
engine = "${engine}"
[log]
requests = false
[stream."/all"]
command = ["./greet.sh", "${generation}"]
share = "all"
[stream."/mine"]
command = ["./greet.sh", "${generation}"]
max_processes = 1000
`;

for (const engine of ['uws', 'node'])
  describe(`during reloads over ${engine}`, () => {
    test('nobody who comes is refused', async (t) => {
      const running = await startGateway(t, {
        config: CONFIG(engine, 0),
        files: { 'greet.sh': '#!/bin/sh\necho hello\nexec cat\n' },
      });
      const statuses = new Map<string, number>();
      let over = false;
      const once = (path: string): Promise<string> =>
        new Promise((resolve) => {
          const { port } = running;
          const outgoing = request({ port, path, agent: false, headers: { accept: 'text/event-stream' } });
          outgoing.on('error', (error) => resolve(error.message));
          outgoing.on('response', (response) => {
            response.on('error', () => undefined);
            resolve(String(response.statusCode));
            outgoing.destroy();
          });
          outgoing.end();
        });
      const hammer = async (path: string): Promise<void> => {
        while (!over) {
          const status = await once(path);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      };
      const hammers = ['/all', '/all', '/mine', '/mine'].map(hammer);
      for (let at = 1; at <= RELOADS; at++) {
        writeFileSync(join(running.folder, 'runnel.toml'), CONFIG(engine, at));
        const before = running.log.length;
        running.process.kill('SIGHUP');
        await running.logged((line) => running.log.indexOf(line) >= before && /is reloaded/.test(line.message));
      }
      over = true;
      await Promise.all(hammers);
      assert.deepEqual([...statuses.keys()], ['200'], JSON.stringify([...statuses]));
    });
  });
