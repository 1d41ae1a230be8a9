/** The operator's own pages: `/metrics` for Prometheus, `/healthz` for whoever restarts what does not answer, `/readyz` for whoever sends clients. */
import type { Handler } from '../../http/handler.ts';
import { textReply } from '../../http/reply.ts';
import { CONTENT_TYPE } from '../../ops/metrics/exposition.ts';
import type { Metrics } from '../../ops/metrics/metrics.ts';

const READ_ONLY = ['GET', 'HEAD'] as const;

export function metricsHandler(metrics: Pick<Metrics, 'text'>): Handler {
  return {
    kind: 'metrics',
    methods: READ_ONLY,
    takesBody: false,
    crossSite: 'open',
    async handle() {
      return {
        status: 200,
        headers: [
          ['content-type', CONTENT_TYPE],
          ['cache-control', 'no-store'],
        ],
        body: await metrics.text(),
      };
    },
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** Answers as long as the event loop turns. */
export function healthHandler(): Handler {
  return {
    kind: 'health',
    methods: READ_ONLY,
    takesBody: false,
    crossSite: 'open',
    handle: () => textReply(200, 'ok\n'),
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}

/** One thing that has to be in order for clients to be served well. */
export interface ReadyState {
  /** A line for the page. */
  readonly text: string;
  readonly ready: boolean;
}

/**
 * 200 while everything is in order, else 503; the page has a line for each thing.
 * @param terse only whether it is: for pages of which nobody else may see more
 */
export function readyHandler(states: () => readonly ReadyState[], terse: boolean): Handler {
  return {
    kind: 'ready',
    methods: READ_ONLY,
    takesBody: false,
    crossSite: 'open',
    handle() {
      const all = states();
      const ready = all.every((state) => state.ready);
      return textReply(
        ready ? 200 : 503,
        [ready ? 'ready' : 'not ready', ...(terse ? [] : all.map(({ text }) => text)), ''].join('\n'),
      );
    },
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
}
