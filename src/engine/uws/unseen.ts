/**
 * uWebSockets.js tells of some answers only whether they were taken over, not whether the client has read any: those without a body,
 * and those that end the connection. A client that asks and asks and reads nothing would fill the memory with them; nor can one
 * connection be told from another. So of every so many bytes one such answer ends its connection for certain. Nobody can know
 * which, so nobody can let another connection have it.
 */

/** Of such answers, on average. Bytes. */
const ROOM = 512 * 1024;
/** What is reckoned for a head. */
const HEAD = 512;

export class UnconfirmedAnswers {
  private room = randomRoom();

  /** One more goes out, with a body of so many bytes. True: it has to end its connection. */
  mustClose(body: number): boolean {
    this.room -= HEAD + body;
    if (this.room > 0) return false;
    this.room = randomRoom();
    return true;
  }
}

function randomRoom(): number {
  return ROOM * (0.5 + Math.random());
}
