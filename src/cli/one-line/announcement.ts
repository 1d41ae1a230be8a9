/** What a person has to know who has just opened something: its addresses, the fingerprint, what is dangerous, and a QR code. */
import { X509Certificate } from 'node:crypto';
import { isatty } from 'node:tty';
import { pinOf } from '../../client/dialing/trust.ts';
import { listeningUrl } from '../../engine/door/listening.ts';
import type { Listening } from '../../engine/engine.ts';
import type { Log } from '../../ops/log.ts';
import { inUrl, isOpen, type Opening } from './opening.ts';
import { qrCode } from './qr-code.ts';
import { drawQrCode, terminalTraits } from './qr-terminal.ts';

const STDERR = 2;
/** Of a terminal that does not say. */
const USUAL_COLUMNS = 80;

/** Tells by the log, and draws on stderr. @param dangers more warnings, for where it is open to others */
export async function announce(
  { config, warnings, certificate, addresses }: Opening,
  listening: readonly Listening[],
  log: Log,
  options: { readonly qr: boolean; readonly dangers: readonly string[] },
): Promise<void> {
  const open = isOpen(config);
  const urls = listening.flatMap((each) => urlsOf(each, addresses));
  for (const { url, isPrinted } of urls) if (!isPrinted) log.info(`also on ${url}`);
  if (certificate !== undefined) {
    const leaf = new X509Certificate(certificate.certificate);
    log.info(
      `the certificate was made for this run, so browsers warn; its SHA-256 fingerprint is ${leaf.fingerprint256}`,
      {
        pin: pinOf(leaf),
      },
    );
  }
  for (const warning of [...warnings, ...(open ? options.dangers : [])]) log.warn(warning);
  const isTerminal = isatty(STDERR);
  if (!options.qr && !(isTerminal && open)) return;
  const best = urls.find(({ isLocal }) => !isLocal) ?? urls[0];
  await log.flush();
  process.stderr.write(
    best === undefined ? 'there is no address for a QR code\n' : drawing(best.url, best.isLocal, isTerminal),
  );
}

interface PrintedUrl {
  readonly url: string;
  /** Whether the gateway has printed it already. */
  readonly isPrinted: boolean;
  /** Whether only this machine gets there. */
  readonly isLocal: boolean;
}

function urlsOf(each: Listening, addresses: Opening['addresses']): readonly PrintedUrl[] {
  const { name, port } = each;
  if (port === undefined) return [];
  const host = name.slice(0, name.lastIndexOf(':'));
  const url = listeningUrl(each);
  if (host !== '' && host !== '[::]' && host !== '0.0.0.0')
    return [{ url, isPrinted: true, isLocal: /^(127\.|\[::1\]$)/.test(host) }];
  const reached = host === '0.0.0.0' ? addresses.filter(({ isIPv6 }) => !isIPv6) : addresses;
  return [
    { url, isPrinted: true, isLocal: true },
    ...reached.map((address) => ({
      url: url.replace('localhost', inUrl(address)),
      isPrinted: false,
      isLocal: false,
    })),
  ];
}

function drawing(url: string, isLocal: boolean, isTerminal: boolean): string {
  const code = qrCode(url);
  if (code === undefined) return `${url} is too long for a QR code\n`;
  const lines = drawQrCode(code, terminalTraits(process.env, isTerminal));
  const width = isTerminal ? process.stderr.columns || USUAL_COLUMNS : Number.POSITIVE_INFINITY;
  if (code.length + 4 > width) return `the terminal is too narrow for the QR code of ${url}\n`;
  return `${lines.join('\n')}\n${url}${isLocal ? ' (only this machine can open it: see --open-to)' : ''}\n`;
}
