/** A QR code as text for a terminal. Pure. */
import type { QrCode } from './qr-code.ts';

/** Modules of light around it that readers ask for: four, of which two are enough for every one in use. */
const QUIET = 2;
const BLACK_ON_WHITE = '\x1b[38;5;16;48;5;231m';
const BACK = '\x1b[0m';

export interface TerminalTraits {
  /** Whether it may be given colours. Without them the code is drawn light on dark, as most terminals are. */
  readonly colour: boolean;
  /** Whether it shows half blocks; otherwise a module is two characters wide and one line high. */
  readonly blocks: boolean;
}

/** Lines of it. */
export function drawQrCode(code: QrCode, { colour, blocks }: TerminalTraits): readonly string[] {
  const light = Array.from({ length: QUIET }, () => false);
  const wide = code.map((line) => [...light, ...line, ...light]);
  const empty = Array.from({ length: QUIET }, () => wide[0]?.map(() => false) ?? []);
  const rows = [...empty, ...wide, ...empty];
  const lines = blocks
    ? inHalves(rows, colour)
    : rows.map((row) => row.map((dark) => (dark === colour ? '##' : '  ')).join(''));
  return colour ? lines.map((line) => `${BLACK_ON_WHITE}${line}${BACK}`) : lines;
}

/** Two rows in one line. @param dark whether what is printed is the dark part */
function inHalves(rows: readonly (readonly boolean[])[], dark: boolean): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < rows.length; at += 2) {
    const [upper = [], lower] = rows.slice(at, at + 2);
    lines.push(upper.map((top, column) => half(top === dark, (lower?.[column] ?? false) === dark)).join(''));
  }
  return lines;
}

function half(top: boolean, bottom: boolean): string {
  if (top) return bottom ? '█' : '▀';
  return bottom ? '▄' : ' ';
}

/** What a terminal can, by the environment: a locale that names another character set than UTF-8 cannot show blocks. */
export function terminalTraits(
  environment: { readonly [name: string]: string | undefined },
  isTerminal: boolean,
): TerminalTraits {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  const charset = /\.([^@]+)/.exec(locale)?.[1];
  return {
    colour: isTerminal && environment['NO_COLOR'] === undefined && environment['TERM'] !== 'dumb',
    blocks: charset === undefined || /^utf-?8$/i.test(charset),
  };
}
