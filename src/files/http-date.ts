/** Dates in header fields (RFC 9110 section 5.6.7). */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(${MONTHS.join('|')})`;
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)';
/** Sun, 06 Nov 1994 08:49:37 GMT */
const IMF_FIXDATE = new RegExp(`^[A-Z][a-z]{2}, (\\d\\d) ${MONTH} (\\d{4}) ${TIME} GMT$`);
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC_850 = new RegExp(`^[A-Z][a-z]{5,8}, (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} GMT$`);
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = new RegExp(`^[A-Z][a-z]{2} ${MONTH} ([ \\d]\\d) ${TIME} (\\d{4})$`);

/** A time in milliseconds since 1970 as an IMF-fixdate; parts of a second are cut off. */
export function formatHttpDate(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

/** Milliseconds since 1970 of any of the three forms of a date; undefined when it is none. */
export function parseHttpDate(text: string): number | undefined {
  let match = IMF_FIXDATE.exec(text);
  if (match) return time(match[3], match[2], match[1], match[4], match[5], match[6]);
  match = ASCTIME.exec(text);
  if (match) return time(match[6], match[1], match[2], match[3], match[4], match[5]);
  match = RFC_850.exec(text);
  if (!match) return undefined;
  // Two digits that seem more than 50 years ahead mean the past (RFC 9110 section 5.6.7).
  const now = new Date().getUTCFullYear();
  let year = now - (now % 100) + Number(match[3]);
  if (year > now + 50) year -= 100;
  return time(String(year), match[2], match[1], match[4], match[5], match[6]);
}

type Part = string | undefined;

function time(year: Part, month: Part, day: Part, hour: Part, minute: Part, second: Part): number | undefined {
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)];
  // 60 is a leap second.
  if (d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return undefined;
  const result = Date.UTC(Number(year), MONTHS.indexOf(month ?? ''), d, h, m, s);
  return Number.isNaN(result) ? undefined : result;
}
