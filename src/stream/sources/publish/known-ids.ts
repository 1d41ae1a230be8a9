/** What was published under the ids that writers give their messages (`?id=`), so that one that is sent again is taken once. */
import type { User } from '../../../policy/auth/auth.ts';
import type { Published } from './published.ts';

const MAX_LENGTH = 128;

/** As many ids as there may be; the oldest is forgotten first. */
export class KnownIds {
  private readonly known = new Map<string, Published>();

  constructor(private readonly most: number) {}

  of(key: string): Published | undefined {
    return this.known.get(key);
  }

  remember(key: string, published: Published): void {
    if (this.most === 0) return;
    this.known.set(key, published);
    published.kept?.then((kept) => {
      if (this.known.get(key) !== published) return;
      // What could not be kept may be sent again.
      if (kept) this.known.set(key, { id: published.id, kept: undefined });
      else this.known.delete(key);
    });
    if (this.known.size > this.most) this.forgetFirst();
  }

  private forgetFirst(): void {
    for (const key of this.known.keys()) {
      this.known.delete(key);
      return;
    }
  }
}

export const WHAT_AN_ID_IS = `the id of a message has 1 to ${MAX_LENGTH} printable ASCII characters without spaces`;

export function isId(text: string): boolean {
  return text.length <= MAX_LENGTH && /^[!-~]+$/.test(text);
}

/** The id as it is remembered: nobody can take one away from a user with another name. */
export function idKey(id: string, user: User | undefined): string {
  return user === undefined ? id : `${user.type} ${user.name}\n${id}`;
}
