/** Which listeners stay open, which have to be opened, and which stand in their way: decided before anything is done. */
import type { ListenConfig } from '../config/schema.ts';
import { sameOpening, samePlace } from './differences.ts';

export interface Place {
  readonly listen: ListenConfig;
  /** The operator's own. */
  readonly admin: boolean;
}

export interface ListenerPlan<Open extends Place, Wanted extends Place> {
  /** Open already. */
  readonly kept: ReadonlyMap<Wanted, Open>;
  /** To be opened, in this order: those first that nothing stands in the way of. */
  readonly opening: readonly { readonly wanted: Wanted; readonly inTheWay: readonly Open[] }[];
  /** Nobody wants them any more; those in the way are among them. */
  readonly unwanted: readonly Open[];
  /** Kept as they are, although they are wanted otherwise. */
  readonly unchangeable: readonly Open[];
}

export function planListeners<Open extends Place, Wanted extends Place>(
  open: readonly Open[],
  wanted: readonly Wanted[],
): ListenerPlan<Open, Wanted> {
  const left = new Set(open);
  const kept = new Map<Wanted, Open>();
  const unchangeable: Open[] = [];
  for (const want of wanted) {
    const found = [...left].find((one) => one.admin === want.admin && canStay(one.listen, want.listen));
    if (found === undefined) continue;
    left.delete(found);
    kept.set(want, found);
    if (!sameOpening(found.listen, want.listen)) unchangeable.push(found);
  }
  const opening = wanted
    .filter((want) => !kept.has(want))
    .map((want) => ({
      wanted: want,
      inTheWay: [...left].filter(({ listen }) => samePlace(listen.address, want.listen.address)),
    }))
    .sort((a, b) => a.inTheWay.length - b.inTheWay.length);
  return { kept, opening, unwanted: [...left], unchangeable };
}

/** A socket of systemd is handed over once: closed, it could not be opened otherwise. */
function canStay(open: ListenConfig, wanted: ListenConfig): boolean {
  return sameOpening(open, wanted) || (open.address.kind === 'systemd' && samePlace(open.address, wanted.address));
}
