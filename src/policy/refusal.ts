/** What a policy says when it does not let a request pass. */
import type { HeaderList } from '../engine/engine.ts';

export interface Refusal {
  readonly status: number;
  /** For the log. */
  readonly because: string;
  /** Which policy: a label of the metrics, one of few. */
  readonly policy: 'host' | 'origin' | 'preflight' | 'auth' | 'rate' | 'upgrade_rate' | 'logins';
  readonly headers: HeaderList;
}
