/** Which listeners stay open, which have to be opened, and which stand in their way: decided before anything is done. */
import type { ListenerConfig } from '../config/keys/listen.ts';
import { mayClash, otherTls, sameOpening } from './differences.ts';

/** What planning goes by: what the configuration says of a listener, and where it really is. */
export interface ListenerSpec {
  readonly listen: ListenerConfig;
  /** The operator's own. */
  readonly admin: boolean;
  /** Of one that is open: the port really bound. */
  readonly port?: number | undefined;
}

export interface ListenerPlan<Open extends ListenerSpec, Wanted extends ListenerSpec> {
  /** Open already. */
  readonly kept: ReadonlyMap<Wanted, Open>;
  /** To be opened, in this order: those first that nothing stands in the way of. */
  readonly opening: readonly { readonly wanted: Wanted; readonly inTheWay: readonly Open[] }[];
  /** Nobody wants them any more; those in the way are among them. */
  readonly unwanted: readonly Open[];
  /** Kept, with other certificates or other rules about them. */
  readonly otherTls: readonly { readonly open: Open; readonly wanted: Wanted }[];
  /** Kept as they are, although they are wanted otherwise. */
  readonly unchangeable: readonly Open[];
}

export function planListeners<Open extends ListenerSpec, Wanted extends ListenerSpec>(
  open: readonly Open[],
  wanted: readonly Wanted[],
): ListenerPlan<Open, Wanted> {
  const left = new Set(open);
  const kept = new Map<Wanted, Open>();
  const unchangeable: Open[] = [];
  const changing: { open: Open; wanted: Wanted }[] = [];
  for (const want of wanted) {
    const candidates = [...left].filter((one) => one.admin === want.admin && canStay(one.listen, want.listen));
    const found = candidates.find((one) => sameOpening(one.listen, want.listen)) ?? candidates[0];
    if (found === undefined) continue;
    left.delete(found);
    kept.set(want, found);
    if (sameOpening(found.listen, want.listen)) continue;
    if (otherTls(found.listen, want.listen)) changing.push({ open: found, wanted: want });
    else unchangeable.push(found);
  }
  const opening = wanted
    .filter((want) => !kept.has(want))
    .map((want) => ({
      wanted: want,
      inTheWay: [...left].filter((one) => mayClash(bound(one), want.listen.address)),
    }))
    .sort((a, b) => a.inTheWay.length - b.inTheWay.length);
  return { kept, otherTls: changing, opening, unwanted: [...left], unchangeable };
}

function bound({ listen: { address }, port }: ListenerSpec): ListenerConfig['address'] {
  return address.kind === 'tcp' && port !== undefined ? { ...address, port } : address;
}

/** A socket of systemd is handed over once: closed, it could not be opened otherwise. */
function canStay(open: ListenerConfig, wanted: ListenerConfig): boolean {
  return (
    sameOpening(open, wanted) ||
    otherTls(open, wanted) ||
    (open.address.kind === 'systemd' && mayClash(open.address, wanted.address))
  );
}
