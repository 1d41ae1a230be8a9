/** The status of a gateway that does nothing. */
import type { GatewayStatus } from '../../src/ops/status.ts';

export function emptyStatus(): GatewayStatus {
  return {
    ...{ now: 65_000, started: 0, version: '1.2.3', node: 'v20', pid: 7, ready: true, notReady: [] },
    configuration: { file: 'runnel.toml', loaded: 0, reload: undefined },
    memory: { resident: 1 << 20, heap: 0, limit: undefined },
    ...{ programsMax: 8, connectionsMax: 8, logDropped: 0 },
    totals: {
      ...{ requests: 0, errors: 0, messages: 0, viewers: 0, programs: 0, connections: 0, bytesOut: 0 },
      ...{ resident: 0, processor: 0, requestSeconds: 0, timed: 0 },
    },
    ...{ listeners: [], routes: [], streams: [], programs: [], failures: [], trouble: [] },
    hour: {
      ...{ interval: 15, until: 0, requests: [], errors: [], messages: [], viewers: [] },
      ...{ resident: [], processor: [], time: [] },
    },
  };
}
