/** The operator's own pages: `/metrics` for Prometheus, `/healthz` for whoever restarts what does not answer. */
import type { Handler } from '../http/handler.ts';
import { textReply } from '../http/reply.ts';
import type { Metrics } from '../ops/metrics.ts';

const READ_ONLY = ['GET', 'HEAD'] as const;

export function metricsHandler(metrics: Metrics): Handler {
  return {
    kind: 'metrics',
    methods: READ_ONLY,
    takesBody: false,
    crossSite: 'open',
    async handle() {
      return {
        status: 200,
        headers: [
          ['content-type', metrics.contentType],
          ['cache-control', 'no-store'],
        ],
        body: await metrics.text(),
      };
    },
    drain: () => undefined,
    close: async () => metrics.close(),
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
    drain: () => undefined,
    close: () => Promise.resolve(),
  };
}
