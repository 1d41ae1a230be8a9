/** How many requests one address may make in a second. The same for every route, so that many routes are no way around it. */
import type { ConnectionsConfig } from '../config/keys/policies.ts';
import type { Request } from '../engine/engine.ts';
import { AddressSet, addressKey, type TrustedProxies } from './addresses.ts';
import { Rates, retryAfter } from './rate.ts';
import type { Refusal } from './refusal.ts';

type RatesConfig = Pick<
  ConnectionsConfig,
  'requests_per_second' | 'request_burst' | 'upgrades_per_second' | 'upgrade_burst' | 'exempt'
>;

export class RequestRates {
  private readonly requests: Rates | undefined;
  private readonly upgrades: Rates | undefined;
  private readonly exempt: AddressSet;

  constructor(
    config: RatesConfig,
    private readonly proxies: TrustedProxies,
  ) {
    const { requests_per_second: requests, upgrades_per_second: upgrades } = config;
    if (requests > 0) this.requests = new Rates(requests, config.request_burst);
    if (upgrades > 0) this.upgrades = new Rates(upgrades, config.upgrade_burst);
    this.exempt = new AddressSet(config.exempt);
  }

  /** Whether `address` has limits of its own. */
  isExempt(address: string): boolean {
    return this.exempt.has(address);
  }

  /** Refuses what is one too many in this second. `now` in milliseconds. */
  decide(request: Request, isUpgrade: boolean, now: number): Refusal | undefined {
    const { remoteAddress } = request;
    if (this.isExempt(remoteAddress)) return undefined;
    const key = addressKey(remoteAddress);
    const wait = this.requests?.take(key, now) ?? 0;
    if (wait > 0) return tooMany('rate', 'more than connections.requests_per_second from one address', wait);
    const upgradeWait = isUpgrade ? (this.upgrades?.take(key, now) ?? 0) : 0;
    if (upgradeWait > 0)
      return tooMany('upgrade_rate', 'more than connections.upgrades_per_second from one address', upgradeWait);
    return undefined;
  }

  /**
   * Counts what was refused before it was a request: whether it may have an answer. Where its head could not be read nobody knows who is
   * behind a proxy, and the proxy itself has no limits.
   */
  countRefused(address: string, request: Request | undefined, now: number): boolean {
    const from = request === undefined ? address : this.proxies.asClient(request).remoteAddress;
    if (from === '' || this.isExempt(from) || (request === undefined && this.proxies.has(from))) return true;
    return (this.requests?.take(addressKey(from), now) ?? 0) === 0;
  }
}

function tooMany(policy: Refusal['policy'], because: string, wait: number): Refusal {
  return { status: 429, because, policy, headers: [['retry-after', retryAfter(wait)]] };
}
