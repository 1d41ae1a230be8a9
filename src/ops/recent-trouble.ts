/** The last warnings and errors of the log, for whoever looks at the gateway and not at its log: a ring of bounded size. */

/** A line of the log that says what is wrong. */
export interface Trouble {
  /** Grows by one with each: names it. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly level: 'warn' | 'error';
  readonly message: string;
  /** Of the last one. */
  readonly fields: { readonly [key: string]: string | number | boolean | undefined };
  /** How often the same was said about the same route while it was kept. */
  readonly times: number;
}

/** How many are kept. */
const KEPT = 50;
/** Characters of a message, and of each field. */
const LONGEST = 500;

export class RecentTrouble {
  private readonly kept: Trouble[] = [];
  private count = 0;

  add(level: Trouble['level'], message: string, fields: Trouble['fields'] = {}): void {
    const short = Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? cut(value) : value]);
    const text = cut(message);
    // What clients can cause as often as they like, such as a refusal, leaves room for the rest.
    const same = this.kept.findIndex(
      (kept) => kept.message === text && kept.level === level && kept.fields['route'] === fields['route'],
    );
    const times = (this.kept[same]?.times ?? 0) + 1;
    if (same !== -1) this.kept.splice(same, 1);
    this.kept.push({
      number: ++this.count,
      time: Date.now(),
      level,
      message: text,
      fields: Object.fromEntries(short),
      times,
    });
    if (this.kept.length > KEPT) this.kept.shift();
  }

  /** The newest first. */
  newest(most = KEPT): readonly Trouble[] {
    return this.kept.slice(-most).reverse();
  }
}

/** A copy: a piece of a long text would hold all of it. */
function cut(text: string): string {
  return text.length <= LONGEST ? text : Buffer.from(`${text.slice(0, LONGEST)} …`).toString();
}
