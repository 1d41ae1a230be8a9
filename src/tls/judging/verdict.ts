/** Whether a family of devices will trust a chain, and why not: the table of `devices.ts` applied to certificates. */
import type { X509Certificate } from 'node:crypto';
import { isSelfSigned } from '../chain.ts';
import { day, validity } from '../identity.ts';
import { commonName, titleOf } from '../names.ts';
import type { Device } from './devices.ts';
import { EXPIRED_ROOTS } from './devices.ts';

export interface Verdict {
  readonly answer: 'trusted' | 'refused' | 'depends' | 'not known';
  readonly because: string;
}

/** A root that a certificate of the chain was issued by. */
export interface Anchor {
  /** As `devices.ts` names it. */
  readonly name: string;
  /** When it was made, milliseconds since 1970; undefined for one that is not in Mozilla's list any more. */
  readonly madeOn: number | undefined;
  /** How many certificates of the chain lead to it. */
  readonly length: number;
}

/** The roots that the certificates of a chain lead to, the shortest path first. `roots` is Mozilla's list. */
export function anchorsOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): readonly Anchor[] {
  return chain.flatMap((certificate, index): readonly Anchor[] => {
    const length = index + 1;
    const root = roots.find(
      (candidate) => candidate.subject === certificate.issuer && certificate.verify(candidate.publicKey),
    );
    if (root !== undefined) return [{ name: rootName(root.subject), madeOn: validity(root).from, length }];
    const name = commonName(certificate.issuer) ?? '';
    return Object.hasOwn(EXPIRED_ROOTS, name) ? [{ name, madeOn: undefined, length }] : [];
  });
}

/** GlobalSign's roots differ only in OU: "GlobalSign Root CA - R3". */
function rootName(subject: string): string {
  const generation = /^OU=GlobalSign (?:ECC )?Root CA - (R\d)$/m.exec(subject)?.[1];
  return generation === undefined
    ? (commonName(subject) ?? subject.replaceAll('\n', ', '))
    : `GlobalSign ${generation}`;
}

export interface ServedChain {
  /** As the server sends it, the server's own certificate first. */
  readonly chain: readonly X509Certificate[];
  readonly anchors: readonly Anchor[];
  /** Whether TLS 1.2 is spoken; undefined when only files were read. */
  readonly tls12: boolean | undefined;
}

/** What holds for every device, old and new: undefined when nothing is wrong. */
export function generalTrouble({ chain, anchors }: ServedChain, now: number): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return 'there is no certificate';
  const { from, to } = validity(leaf);
  if (now > to) return `the certificate expired on ${day(to)}`;
  if (now < from) return `the certificate is not valid before ${day(from)}`;
  if (isSelfSigned(leaf)) return 'it is self-signed: each device must be told to trust it';
  // One path on which nothing has expired is enough; without a public root the whole chain is the only one.
  const paths = anchors.length > 0 ? anchors.map(({ length }) => chain.slice(0, length)) : [chain];
  const ended = paths.map((path) => path.find((each) => now < validity(each).from || now > validity(each).to));
  const first = ended[0];
  if (first !== undefined && !ended.includes(undefined)) {
    const { from, to } = validity(first);
    const when = now > to ? `expired on ${day(to)}` : `is not valid before ${day(from)}`;
    return `the intermediate certificate "${titleOf(first)}" ${when}`;
  }
  if (anchors.length > 0) return undefined;
  const top = chain[chain.length - 1] ?? leaf;
  const issuer = commonName(top.issuer) ?? top.issuer.replaceAll('\n', ', ');
  if (chain.length === 1 && leaf.infoAccess?.includes('CA Issuers') === true)
    return `the intermediate certificate "${issuer}" is missing from the chain`;
  return `its root is "${issuer}", which is in no public list: install that authority on each device`;
}

/** For a device that gets updates no more. */
export function verdictFor(device: Device, served: ServedChain, now: number): Verdict {
  const trouble = generalTrouble(served, now);
  if (trouble !== undefined) return { answer: 'refused', because: trouble };
  if (served.tls12 === false && !device.tls13)
    return { answer: 'refused', because: 'the server speaks TLS 1.3 only, and it knows TLS 1.2 only' };
  const type = served.chain[0]?.publicKey.asymmetricKeyType;
  if (type === 'ed25519') return { answer: 'refused', because: 'it does not know Ed25519 keys' };
  const paths = device.followsWholeChain ? served.anchors.slice(-1) : served.anchors;
  const verdicts = paths.map((anchor) => pathVerdict(device, anchor, served.chain, now));
  for (const answer of ['trusted', 'depends', 'not known'] as const) {
    const found = verdicts.find((verdict) => verdict.answer === answer);
    if (found !== undefined) return found;
  }
  return verdicts[0] ?? { answer: 'not known', because: 'no root of the chain is known' };
}

function pathVerdict(device: Device, anchor: Anchor, chain: readonly X509Certificate[], now: number): Verdict {
  const expired = chain.slice(0, anchor.length).find((certificate) => now > validity(certificate).to);
  if (expired !== undefined) {
    const { to } = validity(expired);
    return {
      answer: 'refused',
      because: `the path to ${anchor.name} has "${titleOf(expired)}", which expired on ${day(to)}`,
    };
  }
  const fact = device.roots[anchor.name];
  if (fact === undefined) {
    if (anchor.madeOn !== undefined && anchor.madeOn > Date.parse(device.storeFrozen))
      return { answer: 'refused', because: `${anchor.name} was made on ${day(anchor.madeOn)}, after the last update` };
    return { answer: 'not known', because: `no document says whether it has ${anchor.name}` };
  }
  const because = `${anchor.name}: ${fact.because}`;
  if (fact.trusted === 'yes' || fact.trusted === 'reported yes') return { answer: 'trusted', because };
  return { answer: fact.trusted === 'depends' ? 'depends' : 'refused', because };
}
