/** A gateway whose streams subscribe to something, and tries again at once. */
import type { TestContext } from 'node:test';
import { type Running, startGateway } from './gateway.ts';

const QUICK = 'restart_delay = "10ms"\nrestart_delay_max = "100ms"\n';

export const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n';

/** @param streams the keys of each, by its path */
export function startSubscribed(
  t: TestContext,
  streams: { readonly [path: string]: string },
  files: { readonly [path: string]: string | Buffer } = {},
  rest = '',
): Promise<Running> {
  const tables = Object.entries(streams).map(
    ([path, keys]) =>
      `[stream."${path}"]\n${QUICK}${/^(idle_stop|start) /m.test(keys) ? '' : 'idle_stop = "0ms"\n'}${keys}\n`,
  );
  return startGateway(t, { config: `${LISTEN}${tables.join('')}${rest}`, files });
}

/** What viewers are told while an upstream is away. */
export const failing = (why: string): string => `the source of this stream fails: ${why}; the gateway keeps trying`;
export const BACK = 'the source answers again';
