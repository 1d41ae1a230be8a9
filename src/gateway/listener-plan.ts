/** Which listeners stay open, which have to be opened, and which stand in their way: decided before anything is done. */
import type { ListenerConfig } from '../config/keys/listen.ts';
import { same } from './differences.ts';

/** What planning goes by: what the configuration says of a listener, and where it really is. */
export interface ListenerSpec {
  readonly listen: ListenerConfig;
  /** The operator's own. */
  readonly admin: boolean;
  /** Whether its WebSockets may be compressed, of which `uws` has to be told before. */
  readonly deflates?: boolean | undefined;
  /** Of one that is open: the port really bound. */
  readonly port?: number | undefined;
}

export interface ListenerPlan<Open extends ListenerSpec, Wanted extends ListenerSpec> {
  /** Open already. */
  readonly kept: ReadonlyMap<Wanted, Open>;
  /** To be opened, in this order: those first that nothing stands in the way of. Of those that do, `before` is in the very same place. */
  readonly opening: readonly {
    readonly wanted: Wanted;
    readonly inTheWay: readonly Open[];
    readonly before: Open | undefined;
  }[];
  /** Nobody wants them any more; those in the way are among them. */
  readonly unwanted: readonly Open[];
  /** Kept, with other certificates or other rules about them. */
  readonly otherTls: readonly { readonly open: Open; readonly wanted: Wanted }[];
}

export function planListeners<Open extends ListenerSpec, Wanted extends ListenerSpec>(
  open: readonly Open[],
  wanted: readonly Wanted[],
): ListenerPlan<Open, Wanted> {
  const left = new Set(open);
  const kept = new Map<Wanted, Open>();
  const changing: { open: Open; wanted: Wanted }[] = [];
  for (const want of wanted) {
    const candidates = [...left].filter(
      (one) => one.admin === want.admin && sameDeflating(one, want) && canStay(one.listen, want.listen),
    );
    const found = candidates.find((one) => sameOpening(one.listen, want.listen)) ?? candidates[0];
    if (found === undefined) continue;
    left.delete(found);
    kept.set(want, found);
    if (!sameOpening(found.listen, want.listen)) changing.push({ open: found, wanted: want });
  }
  const opening = wanted
    .filter((want) => !kept.has(want))
    .map((want) => {
      const inTheWay = [...left].filter((one) => mayClash(bound(one), want.listen.address));
      const before = inTheWay.find((one) => samePlace({ ...one.listen, address: bound(one) }, want.listen));
      return { wanted: want, inTheWay, before };
    })
    .sort((a, b) => a.inTheWay.length - b.inTheWay.length);
  return { kept, otherTls: changing, opening, unwanted: [...left] };
}

function bound({ listen: { address }, port }: ListenerSpec): ListenerConfig['address'] {
  return address.kind === 'tcp' && port !== undefined ? { ...address, port } : address;
}

/** Whether one can go on with the socket of the other. */
function samePlace(a: ListenerConfig, b: ListenerConfig): boolean {
  const [one, other] = [a, b].map(({ address }) => ({ ...address, text: undefined }));
  return same(one, other) && a.mode === b.mode && a.owner === b.owner && a.group === b.group;
}

function sameDeflating({ deflates: a = false }: ListenerSpec, { deflates: b = false }: ListenerSpec): boolean {
  return a === b;
}

function canStay(open: ListenerConfig, wanted: ListenerConfig): boolean {
  return sameOpening(open, wanted) || onlyTlsDiffers(open, wanted);
}

/** Whether a listener can stay open: everything is the same but what only concerns its answers (`redirect`, `hsts`). */
function sameOpening(a: ListenerConfig, b: ListenerConfig): boolean {
  return sameSocket(a, b) && same(tlsOpening(a), tlsOpening(b));
}

function sameSocket(a: ListenerConfig, b: ListenerConfig): boolean {
  const { proxy_protocol: preface = false, http2 = false } = a;
  return (
    same(a.address, b.address) &&
    a.engine === b.engine &&
    preface === (b.proxy_protocol ?? false) &&
    a.mode === b.mode &&
    a.owner === b.owner &&
    a.group === b.group &&
    http2 === (b.http2 ?? false)
  );
}

/** Whether all that differs is TLS, and can be changed while it runs: certificates, versions, which clients are trusted. */
function onlyTlsDiffers(a: ListenerConfig, b: ListenerConfig): boolean {
  return (
    sameSocket(a, b) &&
    a.tls !== undefined &&
    b.tls !== undefined &&
    // A server is told once whether to ask.
    asksClients(a.tls) === asksClients(b.tls)
  );
}

function asksClients({ client }: NonNullable<ListenerConfig['tls']>): boolean {
  return client !== undefined && client.mode !== 'off';
}

/** `names` come from the certificates themselves, which are watched anyway. */
function tlsOpening({ tls }: ListenerConfig): object | undefined {
  return tls === undefined ? undefined : { ...tls, hsts: undefined, names: undefined };
}

/** Whether both cannot be open at one time. */
export function mayClash(a: ListenerConfig['address'], b: ListenerConfig['address']): boolean {
  if (a.kind === 'unix') return b.kind === 'unix' && a.path === b.path;
  if (a.kind === 'systemd') return b.kind === 'systemd' && a.socket === b.socket;
  // One of them may be every address of the machine.
  return b.kind === 'tcp' && a.port === b.port && a.port !== 0;
}
