/**
 * Which public roots old devices trust: facts, each with its source, as of 2026-11. Devices that still get updates need no row,
 * they trust what Mozilla's list has. A root that is in no row of a device is not known to be there, and not known to be missing.
 *
 * Sources:
 *  [LE]    https://letsencrypt.org/docs/certificate-compatibility/ (platforms that trust ISRG Root X1, and DST Root CA X3)
 *  [LE-X1] https://letsencrypt.org/2023/07/10/cross-sign-expiration.html (the cross-sign for old Android ended 2024-09-30)
 *  [NSS]   release notes of NSS: 3.16.3 adds DigiCert Global Root G2 and G3 and Trusted Root G4; 3.18 IdenTrust Commercial Root CA 1
 *          and Entrust G2; 3.26 adds ISRG Root X1 (Firefox 50). KaiOS 2.5 is built on Gecko 48, which is older than that.
 *  [LG]    https://webostv.developer.lge.com/develop/specifications/tls (TLS versions; ISRG Root X1 from webOS TV 5.0, on 3 and 4 with
 *          a software update)
 *  [LG-GS] https://webostv.developer.lge.com/faq/2020-02-20-termination-globalsigns-r1-certificate (GlobalSign R3 and R5 on all webOS TVs)
 *  [XIBO]  https://community.xibo.org.uk/t/dst-x3-root-expiration-letsencrypt-webos-and-tizen/25971 (an operator of signage: most Tizen
 *          and webOS screens do not trust ISRG Root X1; RapidSSL, then under DigiCert Global Root CA, works)
 *  [OSSL]  https://www.openssl.org/blog/blog/2021/09/13/LetsEncryptRootCertExpire/ (1.0.2 prefers the chain as it was sent)
 *  [MOZ]   https://wiki.mozilla.org/Security/Server_Side_TLS (oldest clients with TLS 1.3: Firefox 63, Android 10, Java 11,
 *          OpenSSL 1.1.1, Safari 12.1; oldest clients of "intermediate": Java 8u31, OpenSSL 1.0.1, Android 4.4.2, Safari 9)
 */

/** What is known of one root on one device. */
export interface RootFact {
  /** "depends": on an update that the device may or may not have got. "reported": by somebody else than the maker. */
  readonly trusted: 'yes' | 'no' | 'depends' | 'reported yes' | 'reported no';
  readonly because: string;
}

export interface Device {
  readonly name: string;
  /** No root that was made after this day can be in its store. */
  readonly storeFrozen: string;
  /** By the root's common name. */
  readonly roots: { readonly [commonName: string]: RootFact };
  readonly tls13: boolean;
  /** Looks only for the path that the server's chain leads to, not for a shorter one. */
  readonly followsWholeChain: boolean;
  readonly note?: string;
}

const NSS_G2: RootFact = { trusted: 'yes', because: 'in Mozilla’s list since 2014 [NSS 3.16.3]' };

export const DEVICES: readonly Device[] = [
  {
    name: 'KaiOS 2.5 (feature phones, from 2018)',
    // Phones with it were made for years after; nothing says whether the list in them was newer. Uncertain, so late.
    storeFrozen: '2022-12-31',
    roots: {
      'ISRG Root X1': { trusted: 'no', because: 'its Gecko 48 is older than NSS 3.26, which added it [NSS]' },
      'DigiCert Global Root G2': NSS_G2,
      'DigiCert Global Root G3': NSS_G2,
      'DigiCert Trusted Root G4': NSS_G2,
      'IdenTrust Commercial Root CA 1': { trusted: 'yes', because: 'in Mozilla’s list since 2015 [NSS 3.18]' },
    },
    tls13: false,
    followsWholeChain: false,
    note: 'a maker may have added roots with an update',
  },
  {
    name: 'Android before 7.1.1 (its own browser and WebView)',
    storeFrozen: '2016-12-05',
    roots: {
      'ISRG Root X1': { trusted: 'no', because: 'it came with 7.1.1 [LE]' },
      'DST Root CA X3': { trusted: 'yes', because: 'since 2.3.6, and its expiry is not looked at [LE]' },
    },
    tls13: false,
    followsWholeChain: false,
    note: 'Firefox for Android brings a list of its own',
  },
  {
    name: 'iOS before 10 (iPhone 4s and older)',
    storeFrozen: '2016-09-13',
    roots: {
      'ISRG Root X1': { trusted: 'no', because: 'it came with iOS 10 [LE]' },
      'DST Root CA X3': { trusted: 'no', because: 'it expired on 2021-09-30' },
    },
    tls13: false,
    followsWholeChain: false,
  },
  {
    name: 'Tizen 2.4 to 4 (Samsung televisions and signage of 2016 to 2018)',
    storeFrozen: '2018-12-31',
    roots: {
      'ISRG Root X1': { trusted: 'reported no', because: 'operators of signage report it missing on most [XIBO]' },
      'DigiCert Global Root CA': { trusted: 'reported yes', because: 'operators of signage use it [XIBO]' },
    },
    tls13: false,
    followsWholeChain: false,
    note: 'Samsung publishes no list',
  },
  {
    name: 'webOS TV 1 and 2 (LG televisions of 2014 and 2015)',
    storeFrozen: '2015-12-31',
    roots: {
      'ISRG Root X1': { trusted: 'no', because: 'supported from webOS TV 5, or 3 and 4 with an update [LG]' },
      'GlobalSign R3': { trusted: 'yes', because: 'on every webOS TV [LG-GS]' },
      'GlobalSign R5': { trusted: 'yes', because: 'on every webOS TV [LG-GS]' },
      'DigiCert Global Root CA': { trusted: 'reported yes', because: 'operators of signage use it [XIBO]' },
    },
    tls13: false,
    followsWholeChain: false,
  },
  {
    name: 'webOS TV 3 and 4 (LG televisions of 2016 to 2019)',
    storeFrozen: '2019-12-31',
    roots: {
      'ISRG Root X1': { trusted: 'depends', because: 'only with LG’s software update [LG]' },
      'GlobalSign R3': { trusted: 'yes', because: 'on every webOS TV [LG-GS]' },
      'GlobalSign R5': { trusted: 'yes', because: 'on every webOS TV [LG-GS]' },
      'DigiCert Global Root CA': { trusted: 'reported yes', because: 'operators of signage use it [XIBO]' },
    },
    tls13: false,
    followsWholeChain: false,
  },
  {
    name: 'Java 8 before 8u141',
    storeFrozen: '2017-07-18',
    roots: {
      'ISRG Root X1': { trusted: 'no', because: 'it came with 8u141 [LE]' },
      'DST Root CA X3': { trusted: 'no', because: 'it expired on 2021-09-30' },
    },
    tls13: false,
    followsWholeChain: false,
  },
  {
    name: 'OpenSSL 1.0 (with an up-to-date list of roots)',
    // Its list is the system's, which may be new.
    storeFrozen: '9999-12-31',
    roots: {
      'ISRG Root X1': { trusted: 'yes', because: 'in every list of 2017 and later [LE]' },
      'DST Root CA X3': { trusted: 'no', because: 'it expired on 2021-09-30' },
    },
    tls13: false,
    followsWholeChain: true,
    note: 'with an old list as little as its time allows',
  },
];

/** Roots that expired and have left Mozilla's list, but still stand in chains. */
export const EXPIRED_ROOTS: { readonly [commonName: string]: string } = {
  'DST Root CA X3': '2021-09-30',
};
