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

/** At most three: a series is found by as many steps. */
export type LabelList =
  | readonly []
  | readonly [Label<never>]
  | readonly [Label<never>, Label<never>]
  | readonly [Label<never>, Label<never>, Label<never>];

/** One value for each label, in their order. */
export type LabelValues<Labels extends LabelList> = {
  readonly [K in keyof Labels]: Labels[K] extends Label<infer Value> ? Value : never;
};

export interface FamilyOptions<Labels extends LabelList> {
  readonly name: string;
  /** A sentence or two, for `# HELP` and for docs/metrics.md. */
  readonly help: string;
  readonly labels: Labels;
}

/** Its members, told apart by labels. `Member` is a number, or a histogram's numbers. */
export abstract class Family<const Labels extends LabelList, Member extends object> {
  abstract readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: Labels;
  /** By the first label's value, which is mostly the route: a string that is there already, so nothing is put together to look one up. */
  private readonly groups = new Map<string, Group<Member>>();

  constructor({ name, help, labels }: FamilyOptions<Labels>) {
    this.name = name;
    this.help = help;
    this.labels = labels;
  }

  /** The series with these label values, in the order of `labels`; made, with 0, when there is none yet. */
  series(...values: LabelValues<Labels>): Member {
    const [first = '', second = '', third = ''] = values as readonly string[];
    let group = this.groups.get(first);
    if (group === undefined) {
      group = new Group();
      this.groups.set(first, group);
    }
    return group.find(second, third) ?? group.add(second, third, this.make());
  }

  /** A series of something that is there no more. */
  remove(...values: LabelValues<Labels>): void {
    const [first = '', second = '', third = ''] = values as readonly string[];
    this.groups.get(first)?.remove(second, third);
  }

  /** Each series with its label values, in the order of `labels`. */
  *all(): IterableIterator<readonly [values: readonly string[], member: Member]> {
    const count = this.labels.length;
    for (const [first, group] of this.groups) {
      for (const [second, third, member] of group.all()) yield [[first, second, third].slice(0, count), member];
    }
  }

  /** The series, if there is one already. */
  protected known(values: readonly string[]): Member | undefined {
    const [first = '', second = '', third = ''] = values;
    return this.groups.get(first)?.find(second, third);
  }

  protected abstract make(): Member;
}

/** The series that have one value of the first label. */
class Group<Member extends object> {
  private readonly members = new Map<string, Map<string, Member>>();
  /** The one that was asked for last: mostly it is asked for again. */
  private last: Member | undefined;
  private second = '';
  private third = '';

  find(second: string, third: string): Member | undefined {
    if (this.last !== undefined && second === this.second && third === this.third) return this.last;
    const found = this.members.get(second)?.get(third);
    this.last = found;
    this.second = second;
    this.third = third;
    return found;
  }

  add(second: string, third: string, member: Member): Member {
    const branch = this.members.get(second);
    if (branch === undefined) this.members.set(second, new Map([[third, member]]));
    else branch.set(third, member);
    return member;
  }

  remove(second: string, third: string): void {
    this.last = undefined;
    this.members.get(second)?.delete(third);
  }

  *all(): IterableIterator<readonly [second: string, third: string, member: Member]> {
    for (const [second, branch] of this.members) for (const [third, member] of branch) yield [second, third, member];
  }
}
