/** What makes a certificate unusable, in words for the person who configured it. */

/** The setting that the trouble is with. */
export type TroubleWith = 'certificate' | 'key' | 'passphrase' | 'ca' | 'crl';

/** The message completes "the file X …" or stands for itself; it never holds anything secret. */
export class TlsTrouble extends Error {
  override readonly name = 'TlsTrouble';

  constructor(
    readonly about: TroubleWith,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
