/** `runnel tls`: reads a chain and says who will trust it, or makes certificates for a LAN. */
import { UsageError, type Verb } from '../verb.ts';

export const tls: Verb = {
  name: 'tls',
  usage: 'runnel tls check|self-signed …',
  brief: 'show who trusts a certificate; make one for a LAN',
  doc: `runnel tls check HOST[:PORT]|FILE
  Reads the certificate chain of a server or of a PEM file, and prints which old devices trust it and why the others do not.
  Exits with 1 if current browsers do not trust it.

runnel tls self-signed NAME… [--out FOLDER] [--days N]
  Makes a certificate authority of your own (ca.pem, ca.key) and a certificate for these names and IP addresses
  (server.pem, server.key), and prints how to make devices trust it. An authority that is already in the folder is used again.`,
  flags: {
    out: { short: 'o', value: 'FOLDER', doc: 'self-signed: the folder for the files (default: the current folder)' },
    days: {
      short: 'd',
      value: 'N',
      doc: 'self-signed: the number of days that it is valid, at most 397 (default 397)',
    },
  },
  words: 'names',
  operands: [['check', 'self-signed'], 'file'],
  async run({ flags, words }) {
    const [what, ...names] = words;
    if (what === 'check') {
      const [target] = names;
      if (target === undefined || names.length > 1)
        throw new UsageError('runnel tls check needs one HOST[:PORT] or FILE');
      for (const flag of Object.keys(flags)) throw new UsageError(`runnel tls check has no flag --${flag}`);
      return await (await import('./check.ts')).checkChain(target);
    }
    if (what === 'self-signed')
      return (await import('./self-signed.ts')).makeSelfSigned(names, { out: flags['out'], days: flags['days'] });
    const said = what === undefined ? '' : `; it has no "${what}"`;
    throw new UsageError(`runnel tls needs "check HOST|FILE" or "self-signed NAME"${said}`);
  },
};
