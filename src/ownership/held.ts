/**
 * Something that was started or opened, on its way from whoever started it to whoever will use it: a program, a connection, a file.
 * Exactly one of two things becomes of it: `take` hands it on, or `giveBack` ends it. The first call counts, so that an abort between
 * any two steps finds somebody who is responsible.
 */
export class Held<T> {
  private content: { readonly value: T } | undefined;
  private readonly aborted = (): void => this.giveBack();

  /**
   * @param end gives it back; called once at most
   * @param signal gives it back by itself as soon as nobody waits for it any more; at once if that is so already
   */
  constructor(
    value: T,
    private readonly end: (value: T) => void,
    private readonly signal?: AbortSignal,
  ) {
    this.content = { value };
    if (signal?.aborted) this.giveBack();
    else signal?.addEventListener('abort', this.aborted);
  }

  /** From here on it is the caller's. Undefined: it was given back, or somebody else has it. */
  take(): T | undefined {
    const { content } = this;
    this.content = undefined;
    this.signal?.removeEventListener('abort', this.aborted);
    return content?.value;
  }

  /** Nobody will use it. Harmless when it was taken or given back already. */
  giveBack(): void {
    const { content } = this;
    if (content === undefined) return;
    this.take();
    this.end(content.value);
  }
}
