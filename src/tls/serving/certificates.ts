/** What a listener's certificates do while it runs, told to the log, the metrics and `/readyz`. */
import type { Log } from '../../ops/log.ts';
import type { Tallies } from '../../ops/tallies.ts';
import { day } from '../identity.ts';
import { daysLeft } from './expiry.ts';
import type { TlsSettings } from './settings.ts';
import type { CertificateFacts, CertificateStore, StoreEvents } from './store.ts';

/** Feeds log and metrics. `listener` is its name as configured. */
function storeEvents(listener: string, log: Log, tallies: Tallies): StoreEvents {
  return {
    reloaded(titles) {
      tallies.certificateReloads.add(1, listener, 'ok');
      log.info(`new certificates are served: ${titles.join(', ')}`, { listener });
    },
    failed(message) {
      tallies.certificateReloads.add(1, listener, 'failed');
      log.error(`the new certificate files cannot be used; the old certificates stay in use: ${message}`, { listener });
    },
    expiring(what, days, notAfter) {
      if (days === 0) log.error(`${what} expired on ${day(notAfter)}`, { listener });
      else
        log.warn(`${what} expires within ${days === 1 ? 'a day' : `${days} days`}`, {
          listener,
          on: day(notAfter),
        });
    },
    serving(certificates, before) {
      for (const { title } of before) tallies.certificateExpiry.remove(listener, title);
      for (const { title, notAfter } of certificates)
        tallies.certificateExpiry.series(listener, title).value = Math.floor(notAfter / 1000);
    },
  };
}

/** A certificate that is served, and how long it is good. */
export interface CertificateLife extends Pick<CertificateFacts, 'title' | 'names' | 'notAfter' | 'fingerprint'> {
  readonly daysLeft: number;
}

/** The stores of every TLS listener of a gateway. */
export class Certificates {
  private stores: readonly { readonly listener: string; readonly store: CertificateStore }[] = [];

  constructor(
    private readonly log: Log,
    private readonly tallies: Tallies,
  ) {}

  /** Reads what `listener` is to serve. Rejects with a `TlsError`. */
  async open(listener: string, settings: TlsSettings): Promise<CertificateStore> {
    // Loaded here: without a TLS listener node:tls is 0.6 MB for nothing.
    const { CertificateStore: Store } = await import('./store.ts');
    const store = await Store.open(settings, process.env, storeEvents(listener, this.log, this.tallies));
    this.stores = [...this.stores, { listener, store }];
    return store;
  }

  /** Reads all files anew, whether they have changed or not. What cannot be used is logged, and the old is served on. */
  async reload(): Promise<void> {
    await Promise.all(this.stores.map(({ store }) => store.reload()));
  }

  /** Its listener is gone: the files are looked at no more, and nothing tells of them. */
  release(store: CertificateStore): void {
    store.close();
    const gone = this.stores.find((each) => each.store === store);
    this.stores = this.stores.filter((each) => each !== gone);
    if (gone === undefined) return;
    const { listener } = gone;
    // Another one may have taken its place.
    const left = this.stores.filter((each) => each.listener === listener).flatMap((each) => each.store.certificates());
    for (const { title } of store.certificates())
      if (!left.some((facts) => facts.title === title)) this.tallies.certificateExpiry.remove(listener, title);
  }

  /** What `listener` serves now, and how long it is good. */
  of(listener: string, now: number): readonly CertificateLife[] {
    return this.stores
      .filter((each) => each.listener === listener)
      .flatMap(({ store }) => store.certificates())
      .map(({ title, names, notAfter, fingerprint }) => ({
        ...{ title, names, notAfter, fingerprint, daysLeft: daysLeft(notAfter, now) },
      }));
  }

  /** A line for each certificate; one that has expired is not ready. */
  states(now: number): readonly { readonly text: string; readonly ready: boolean }[] {
    return this.stores.flatMap(({ listener, store }) =>
      store.certificates().map((facts) => ({ text: stateText(listener, facts, now), ready: facts.notAfter > now })),
    );
  }

  close(): void {
    for (const { store } of this.stores) store.close();
  }
}

function stateText(listener: string, { title, notAfter, what }: CertificateFacts, now: number): string {
  const left = daysLeft(notAfter, now);
  const state = notAfter <= now ? `expired on ${day(notAfter)}` : `valid until ${day(notAfter)} (${left} days)`;
  const which = what === `the certificate for ${title}` ? '' : `${what} `;
  return `certificate ${title} on ${listener}: ${which}${state}`;
}
