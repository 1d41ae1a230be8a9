/**
 * What of a status has changed since the last time, so that a page that is open gets little: lists are sent by item, each item whole.
 * Who joins gets everything (`whole`) and then the changes behind it.
 */
import type { GatewayStatus } from '../../ops/status.ts';

/** Items by their names, as JSON. */
type Items = ReadonlyMap<string, string>;

export class StatusChanges {
  private items: Items = new Map();
  private now = 0;

  /** The JSON of everything, as of the last `next`. */
  get whole(): string {
    return message(this.now, true, [...this.items], []);
  }

  /** The JSON of what has changed: `{"now": …, "whole": false, "set": {NAME: ITEM}, "gone": [NAME]}`. An item of a list is called `LIST NAME`. */
  next(status: GatewayStatus): string {
    const next = itemsOf(status);
    const set = [...next].filter(([name, item]) => this.items.get(name) !== item);
    const gone = [...this.items.keys()].filter((name) => !next.has(name));
    this.items = next;
    this.now = status.now;
    return message(status.now, false, set, gone);
  }
}

/** Everything but the lists is one item, and the last hour another. */
function itemsOf(status: GatewayStatus): Items {
  const { now: _now, hour, listeners, routes, streams, programs, failures, trouble, ...gateway } = status;
  const items = new Map([
    ['gateway', JSON.stringify(gateway)],
    ['hour', JSON.stringify(hour)],
  ]);
  const put = <T>(list: string, all: readonly T[], name: (item: T) => string | number): void => {
    for (const item of all) items.set(`${list} ${name(item)}`, JSON.stringify(item));
  };
  put('listeners', listeners, ({ name, admin }) => (admin ? `admin ${name}` : name));
  // Routes of two kinds may have one key.
  put('routes', routes, ({ kind, key }) => `${kind} ${key}`);
  put('streams', streams, ({ key }) => key);
  put('programs', programs, ({ pid }) => pid);
  put('failures', failures, ({ route }) => route);
  put('trouble', trouble, ({ number }) => number);
  return items;
}

function message(
  now: number,
  whole: boolean,
  set: readonly (readonly [string, string])[],
  gone: readonly string[],
): string {
  const items = set.map(([name, item]) => `${JSON.stringify(name)}:${item}`).join(',');
  return `{"now":${now},"whole":${whole},"set":{${items}},"gone":${JSON.stringify(gone)}}`;
}
