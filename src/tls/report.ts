/** What a listener's certificates do while it runs, told to the log, the metrics and `/readyz`. */
import type { Log } from '../ops/log.ts';
import type { Tallies } from '../ops/tallies.ts';
import { daysLeft } from './expiry.ts';
import { day } from './identity.ts';
import type { CertificateFacts, CertificateStore, StoreEvents } from './store.ts';

/** Feeds log and metrics. `listener` is its name as configured. */
export function storeEvents(listener: string, log: Log, tallies: Tallies): StoreEvents {
  return {
    reloaded(titles) {
      tallies.certificateReloads.add(1, listener, 'ok');
      log.info(`new certificates are served: ${titles.join(', ')}`, { listener });
    },
    failed(message) {
      tallies.certificateReloads.add(1, listener, 'failed');
      log.error(`the new certificate files cannot be used, the old ones are served on: ${message}`, { listener });
    },
    expiring(title, days, notAfter) {
      if (days === 0) log.error(`the certificate for ${title} expired on ${day(notAfter)}`, { listener });
      else
        log.warn(`the certificate for ${title} expires within ${days === 1 ? 'a day' : `${days} days`}`, {
          listener,
          on: day(notAfter),
        });
    },
    serving(certificates, before) {
      for (const { title } of before) tallies.certificateExpiry.remove(listener, title);
      for (const { title, notAfter } of certificates)
        tallies.certificateExpiry.member(listener, title).value = Math.floor(notAfter / 1000);
    },
  };
}

/** A line for each certificate; one that has expired is not ready. */
export function certificateStates(
  listener: string,
  store: CertificateStore,
  now: number,
): readonly { readonly text: string; readonly ready: boolean }[] {
  return store.certificates().map((facts) => ({ text: stateText(listener, facts, now), ready: facts.notAfter > now }));
}

function stateText(listener: string, { title, notAfter }: CertificateFacts, now: number): string {
  const left = daysLeft(notAfter, now);
  const state = notAfter <= now ? `expired on ${day(notAfter)}` : `valid until ${day(notAfter)} (${left} days)`;
  return `certificate ${title} on ${listener}: ${state}`;
}
