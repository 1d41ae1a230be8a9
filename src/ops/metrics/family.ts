/** What all metric families have in common: a name, what they count, and their series, told apart by labels. */

/** One label of a family, and what its values mean. */
export interface Label<Value extends string = string> {
  readonly name: string;
  /** Where its values come from: the configuration, or a rule that bounds how many there are. Never the client. */
  readonly meaning: string;
  /** Each value of a fixed list with what it means; empty where they come from elsewhere. */
  readonly values: Readonly<Record<Value, string>>;
}

/** A label whose values are a fixed list: the compiler takes no others. */
export function label<Value extends string>(
  name: string,
  meaning: string,
  values: Readonly<Record<Value, string>>,
): Label<Value> {
  return { name, meaning, values };
}

/** A label whose values come from the configuration, or follow a rule that bounds their number. */
export function openLabel(name: string, meaning: string): Label {
  return { name, meaning, values: {} };
}

/** One value for each label, in their order. */
export type LabelValues<Labels extends readonly Label<never>[]> = {
  readonly [K in keyof Labels]: Labels[K] extends Label<infer Value> ? Value : never;
};

export interface FamilyOptions<Labels extends readonly Label<never>[]> {
  readonly name: string;
  /** A sentence or two, for `# HELP` and for docs/metrics.md. */
  readonly help: string;
  readonly labels: Labels;
}

/** Its members, told apart by labels. `Member` is a number, or a histogram's numbers. */
export abstract class Family<const Labels extends readonly Label<never>[], Member extends object> {
  abstract readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: Labels;
  /** By the first label's value, then by the second's …: strings that are there already, so nothing is put together to look one up. */
  private readonly root: Branch<Member> = new Map();
  /** The one that was asked for last: mostly it is asked for again. */
  private last: Member | undefined;
  private lastValues: readonly string[] = [];

  constructor({ name, help, labels }: FamilyOptions<Labels>) {
    this.name = name;
    this.help = help;
    this.labels = labels;
  }

  /** The series with these label values, in the order of `labels`; made, with 0, when there is none yet. */
  series(...values: LabelValues<Labels>): Member {
    if (this.last !== undefined && isSame(this.lastValues, values)) return this.last;
    const found = this.find(values);
    this.last = found;
    this.lastValues = values;
    return found;
  }

  /** A series of something that is there no more. */
  remove(...values: LabelValues<Labels>): void {
    this.last = undefined;
    this.branchOf(values)?.delete(values.at(-1) ?? '');
  }

  /** Each series with its label values, in the order of `labels`. */
  *all(): IterableIterator<readonly [values: readonly string[], member: Member]> {
    yield* leaves(this.root, this.labels.length, []);
  }

  /** The series, if there is one already. */
  protected known(values: readonly string[]): Member | undefined {
    const found = this.branchOf(values)?.get(values.at(-1) ?? '');
    return found instanceof Map ? undefined : found;
  }

  protected abstract make(): Member;

  private find(values: readonly string[]): Member {
    let branch = this.root;
    const last = values.length - 1;
    for (let at = 0; at < last; at++) {
      const value = values[at] ?? '';
      let next = branch.get(value);
      if (!(next instanceof Map)) {
        next = new Map();
        branch.set(value, next);
      }
      branch = next;
    }
    const known = branch.get(values[last] ?? '');
    if (known !== undefined && !(known instanceof Map)) return known;
    const made = this.make();
    branch.set(values[last] ?? '', made);
    return made;
  }

  private branchOf(values: readonly string[]): Branch<Member> | undefined {
    let branch: Branch<Member> = this.root;
    for (const value of values.slice(0, -1)) {
      const next = branch.get(value);
      if (!(next instanceof Map)) return undefined;
      branch = next;
    }
    return branch;
  }
}

type Branch<Member extends object> = Map<string, Branch<Member> | Member>;

function isSame(some: readonly string[], others: readonly string[]): boolean {
  for (let at = 0; at < others.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

/** @param depth how many labels there are: a family without any has its one member below "" */
function* leaves<Member extends object>(
  branch: Branch<Member>,
  depth: number,
  before: readonly string[],
): IterableIterator<readonly [readonly string[], Member]> {
  for (const [value, next] of branch) {
    const values = depth === 0 ? before : [...before, value];
    if (next instanceof Map) yield* leaves(next, depth, values);
    else yield [values, next];
  }
}
