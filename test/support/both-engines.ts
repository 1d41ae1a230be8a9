/** The same gateway behind both engines: two listeners, and the metrics of both. */
import type { TestContext } from 'node:test';
import { ask } from './client.ts';
import { type Running, type Setup, startGateway } from './gateway.ts';

export interface BothEngines extends Running {
  readonly engines: readonly (readonly [name: 'uws' | 'node', port: number])[];
  /** The sum of a metric's members whose line has all of these texts in it. */
  metric(name: string, ...labels: readonly string[]): Promise<number>;
}

export async function startBoth(t: TestContext, setup: Setup): Promise<BothEngines> {
  const listen = ['uws', 'node'].map((engine) => `[[listen]]\naddress = "127.0.0.1:0"\nengine = "${engine}"\n`);
  const config = `${listen.join('')}[admin]\nlisten = "127.0.0.1:0"\n${setup.config}`;
  const running = await startGateway(t, { ...setup, config });
  const [uws = 0, node = 0, admin = 0] = running.ports;
  return {
    ...running,
    engines: [
      ['uws', uws],
      ['node', node],
    ],
    async metric(name, ...labels) {
      const { body } = await ask(admin, '/metrics');
      return body
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    },
  };
}
