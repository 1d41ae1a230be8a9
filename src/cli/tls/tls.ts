/** `runnel tls`: reads a chain and says who will trust it, or makes certificates for a LAN. */
import { UsageError, type Verb } from '../flags.ts';

export const tls: Verb = {
  name: 'tls',
  usage: 'runnel tls check|self-signed …',
  brief: 'who trusts a certificate; make one for a LAN',
  doc: `runnel tls check HOST[:PORT]|FILE
  Reads the chain of a server or of a PEM file, and says which families of old devices will trust it, and why not.
  Exits with 1 when current browsers will not.

runnel tls self-signed NAME… [--out FOLDER] [--days N]
  Makes an authority of your own (ca.pem, ca.key) and a certificate for these names and IP addresses (server.pem,
  server.key), and says how to make devices trust it. An authority that is in the folder already is used again.`,
  flags: {
    out: { short: 'o', value: 'FOLDER', doc: 'self-signed: where the files go; without it the current folder' },
    days: { short: 'd', value: 'N', doc: 'self-signed: for how many days, at most 397, which is the default' },
  },
  words: true,
  async run({ flags, words }) {
    const [what, ...rest] = words;
    // Flags may stand behind the words, too.
    const given = { ...flags, ...laterFlags(rest) };
    const names = rest.filter((word, index) => !word.startsWith('-') && !takesNext(rest[index - 1]));
    if (what === 'check') {
      const [target] = names;
      if (target === undefined || names.length > 1)
        throw new UsageError('runnel tls check needs one HOST[:PORT] or FILE');
      return await (await import('./check.ts')).checkChain(target);
    }
    if (what === 'self-signed')
      return (await import('./self-signed.ts')).makeSelfSigned(names, {
        out: textOf(given['out']),
        days: textOf(given['days']),
      });
    throw new UsageError('runnel tls needs to be told what: check or self-signed');
  },
};

const FLAGS: { readonly [word: string]: 'out' | 'days' } = {
  '--out': 'out',
  '-o': 'out',
  '--days': 'days',
  '-d': 'days',
};

function takesNext(word: string | undefined): boolean {
  return word !== undefined && Object.hasOwn(FLAGS, word);
}

function laterFlags(words: readonly string[]): { readonly [name: string]: string } {
  const found: { [name: string]: string } = {};
  for (const [index, word] of words.entries()) {
    if (!word.startsWith('-')) continue;
    const [flag = '', joined] = word.split('=', 2);
    const name = FLAGS[flag];
    const value = joined ?? words[index + 1];
    if (name === undefined) throw new UsageError(`runnel tls has no flag ${word}`);
    if (value === undefined) throw new UsageError(`${word} needs a value`);
    found[name] = value;
  }
  return found;
}

function textOf(value: string | true | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
