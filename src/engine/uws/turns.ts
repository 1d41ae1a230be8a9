/** Counts the turns of the event loop, while somebody asks. */
export class LoopIterations {
  current = 0;
  private due = false;

  /** The current turn, and a promise that the next will be another. */
  note(): number {
    if (!this.due) {
      this.due = true;
      setImmediate(() => {
        this.due = false;
        this.current++;
      });
    }
    return this.current;
  }
}
