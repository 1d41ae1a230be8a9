/** What the routes of one kind share, over all configurations of a gateway: made when the first of them asks. */
export class SharedObjects {
  private readonly objects: object[] = [];

  /** The one of this class. */
  of<T extends object>(type: abstract new (...parts: never[]) => T, make: () => T): T {
    const known = this.objects.find((object): object is T => object instanceof type);
    if (known !== undefined) return known;
    const made = make();
    this.objects.push(made);
    return made;
  }
}
