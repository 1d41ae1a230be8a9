/** `runnel tls check`: which devices trust this certificate chain. */
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { connect, type PeerCertificate, rootCertificates } from 'node:tls';
import { systemCode } from '../../ops/system-errors.ts';
import { visible, visibleLines } from '../../ops/visible.ts';
import { chainFrom, parseCertificates } from '../../tls/chain.ts';
import { day, validity } from '../../tls/identity.ts';
import { DEVICES } from '../../tls/judging/devices.ts';
import { anchorsOf, generalTrouble, type ServedChain, verdictFor } from '../../tls/judging/verdict.ts';
import { commonName, namesOf, titleOf } from '../../tls/names.ts';
import { readTlsFile, TlsError } from '../../tls/tls-file.ts';
import { EXIT, UsageError } from '../verb.ts';

/** Milliseconds that a server may take. */
const PATIENCE = 10_000;

/** Prints a report. Resolves with the exit code. */
export async function checkChain(target: string): Promise<number> {
  try {
    const { served, host } = await readTarget(target);
    const now = Date.now();
    process.stdout.write(visibleLines(describe(served, host)));
    const trouble = generalTrouble(served, now) ?? wrongName(served, host);
    process.stdout.write(visibleLines(report(served, trouble, now)));
    return trouble === undefined ? EXIT.ok : EXIT.config;
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    process.stderr.write(`${visible(error.message)}\n`);
    return EXIT.config;
  }
}

interface Target {
  readonly served: ServedChain;
  /** Undefined for a file. */
  readonly host: string | undefined;
}

async function readTarget(target: string): Promise<Target> {
  const roots = rootCertificates.map((pem) => new X509Certificate(pem));
  if (target.includes('/') || existsSync(target) || /\.(pem|crt|cer|key|der|p12|pfx)$/i.test(target)) {
    const pool = parseCertificates(readTlsFile(target, 'certificate'), target, 'certificate');
    const leaf = pool.find((certificate) => !certificate.ca) ?? pool[0];
    if (leaf === undefined) throw new TlsError('certificate', `there is no certificate in ${target}`);
    const chain = chainFrom(leaf, pool);
    return { served: { chain, anchors: anchorsOf(chain, roots), tls12: undefined }, host: undefined };
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/\s]+))(?::(\d{1,5}))?$/.exec(target);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new UsageError(`"${target}" is neither a file nor HOST[:PORT]`);
  const port = Number(match?.[3] ?? 443);
  const chain = await chainOfServer(host, port, undefined);
  const old = await chainOfServer(host, port, 'TLSv1.2').then(
    () => true,
    () => false,
  );
  return { served: { chain, anchors: anchorsOf(chain, roots), tls12: old }, host };
}

/** What a server sends, in the order in which it belongs together. Rejects with a `TlsError`. */
function chainOfServer(
  host: string,
  port: number,
  maxVersion: 'TLSv1.2' | undefined,
): Promise<readonly X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      // What is wrong with it is what we want to know.
      rejectUnauthorized: false,
    });
    const failed = (message: string) => {
      socket.destroy();
      reject(new TlsError('certificate', `${host}:${port}: ${message}`));
    };
    socket.setTimeout(PATIENCE, () => failed('it did not answer in time'));
    socket.once('error', (error) => failed(inWords(error)));
    socket.once('secureConnect', () => {
      const chain = sentCertificates(socket.getPeerCertificate(true));
      socket.destroy();
      if (chain.length === 0) failed('it sent no certificate');
      else resolve(chain);
    });
  });
}

function inWords(error: Error): string {
  switch (systemCode(error)) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `there is neither a host nor a file of this name (${error.message})`;
    case 'ECONNREFUSED':
      return 'nothing listens on this port of the host (ECONNREFUSED)';
    default:
      return error.message;
  }
}

/** Node links the certificates that were sent by issuer, and a self-signed one with itself. */
function sentCertificates(
  first: PeerCertificate & { issuerCertificate?: PeerCertificate },
): readonly X509Certificate[] {
  const found: X509Certificate[] = [];
  const seen = new Set<string>();
  let next: (PeerCertificate & { issuerCertificate?: PeerCertificate }) | undefined = first;
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    found.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return found;
}

function wrongName({ chain }: ServedChain, host: string | undefined): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined || host === undefined) return undefined;
  const fits = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  return fits === undefined
    ? `the certificate is for ${namesOf(leaf).join(', ') || 'no name'}, not for ${host}`
    : undefined;
}

function describe({ chain, anchors, tls12 }: ServedChain, host: string | undefined): string {
  const lines = chain.map((certificate, index) => {
    const { from, to } = validity(certificate);
    const key = certificate.publicKey;
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
    const kind = `${key.asymmetricKeyType ?? 'unknown'} ${modulusLength ?? namedCurve ?? ''}`.trim();
    const issuer = commonName(certificate.issuer) ?? certificate.issuer.replaceAll('\n', ', ');
    return `${index}  ${titleOf(certificate)}\n   ${kind}, ${day(from)} to ${day(to)}, issued by ${issuer}\n`;
  });
  const leads = anchors.map(({ name }) => name).join(', then ');
  const versions = tls12 === undefined ? '' : tls12 ? 'speaks TLS 1.2\n' : 'speaks TLS 1.3 only\n';
  return `${host === undefined ? '' : `${host} `}${versions}chain:\n${lines.join('')}root: ${leads === '' ? 'no public root' : leads}\n\n`;
}

function report(served: ServedChain, trouble: string | undefined, now: number): string {
  if (trouble !== undefined) return `refused by every device: ${trouble}\n`;
  const rows = DEVICES.map((device) => {
    const { answer, because } = verdictFor(device, served, now);
    const note = device.note === undefined ? '' : ` (${device.note})`;
    return `${answer.padEnd(9)}  ${device.name}\n           ${because}${note}\n`;
  });
  return `trusted    current browsers and systems
           because the root is in Mozilla’s list, as of Node ${process.version}
${rows.join('')}
The source of each fact is in src/tls/judging/devices.ts. "not known": no public document says it.
`;
}
