/** A path that is not served: the status for the client, and the reason for the log. */
export class Refused extends Error {
  readonly status: 400 | 403 | 404;
  constructor(status: 400 | 403 | 404, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'Refused';
    this.status = status;
  }
}
