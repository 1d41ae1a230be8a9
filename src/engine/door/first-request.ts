/**
 * Which engine a plain connection is for, by the first bytes of its first request. Pure; it runs once a connection or a few times, so it
 * allocates nothing and reads each byte once.
 *
 * uWebSockets.js gets what it is certain to read right: a whole head in its most usual form, of which no two servers think differently.
 * Everything else is for Node, which knows the rest of HTTP and has a sentence for what is wrong.
 */

/** 'more': nothing is wrong yet, and the head is not complete. */
export type FirstRequest = 'uws' | 'node' | 'more';

const SP = 0x20;
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const COMMA = 0x2c;
const SLASH = 0x2f;
const HASH = 0x23;
const DEL = 0x7f;
const ZERO = 0x30;
const NINE = 0x39;

/** The methods with a route of their own there: what is passed on between two of them can be closed properly behind its answer. */
const METHODS = ['GET ', 'POST ', 'HEAD ', 'PUT ', 'OPTIONS ', 'DELETE ', 'PATCH '] as const;
const VERSION = 'HTTP/1.1\r\n';
/** The 99th is refused there, with a text that is not ours. */
const MAX_FIELDS = 98;
/** As much as a number holds exactly. */
const MAX_LENGTH_DIGITS = 15;
/** Of a Sec-WebSocket-Key: 16 bytes in base64. */
const KEY_LENGTH = 24;

/** Results of the readers below that are no offset. */
const MORE = -1;
const WRONG = -2;

/** Characters of a token (RFC 9110 section 5.6.2), and those of base64. */
const IN_TOKEN = 1;
const IN_BASE64 = 2;
const KINDS = kindsOfBytes();

/**
 * @param bytes Longer than what has come; it may be used again afterwards.
 * @param length How many bytes have come so far.
 * @param maxHeaderBytes The largest head that is served; Node refuses a larger one with 431.
 */
export function judgeFirstRequest(bytes: Buffer, length: number, maxHeaderBytes: number): FirstRequest {
  const method = methodOf(bytes, length);
  if (method < 0) return undecided(method, length, maxHeaderBytes);
  const line = behindRequestLine(bytes, (METHODS[method] ?? '').length, length);
  if (line < 0) return undecided(line, length, maxHeaderBytes);
  return judgeFields(bytes, line, length, maxHeaderBytes, METHODS[method]);
}

function undecided(result: number, length: number, maxHeaderBytes: number): FirstRequest {
  return result === MORE && length < maxHeaderBytes ? 'more' : 'node';
}

/** The index in METHODS. */
function methodOf(bytes: Buffer, length: number): number {
  let begun = length === 0;
  for (let index = 0; index < METHODS.length; index++) {
    const result = behind(METHODS[index] ?? '', bytes, 0, length);
    if (result >= 0) return index;
    begun ||= result === MORE;
  }
  return begun ? MORE : WRONG;
}

/** Origin-form and HTTP/1.1 only. The offset behind the line's end. */
function behindRequestLine(bytes: Buffer, start: number, length: number): number {
  if (start === length) return MORE;
  if (bytes[start] !== SLASH) return WRONG;
  let at = start;
  for (; at < length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > SP && byte < DEL && byte !== HASH) continue;
    return byte === SP ? behind(VERSION, bytes, at + 1, length) : WRONG;
  }
  return MORE;
}

function judgeFields(
  bytes: Buffer,
  start: number,
  length: number,
  maxHeaderBytes: number,
  method: (typeof METHODS)[number] | undefined,
): FirstRequest {
  let hosts = 0;
  let contentLength = -1;
  let connections = 0;
  let asksSwitch = false;
  let upgrades = 0;
  let keys = 0;
  let versions = 0;
  let at = start;
  for (let fields = 0; ; fields++) {
    if (at < length && bytes[at] === CR) break;
    const colon = endOfName(bytes, at, length);
    if (colon < 0) return undecided(colon, length, maxHeaderBytes);
    const value = startOfValue(bytes, colon + 1, length);
    const end = endOfValue(bytes, value, length);
    if (end < 0) return undecided(end, length, maxHeaderBytes);
    if (fields === MAX_FIELDS) return 'node';
    // By their lengths: most fields are none of these.
    switch (colon - at) {
      case 'host'.length:
        if (isWord('host', bytes, at) && (++hosts > 1 || value === end)) return 'node';
        break;
      case 'expect'.length:
        // 100 would be sent before anybody is asked.
        if (isWord('expect', bytes, at)) return 'node';
        break;
      case 'upgrade'.length:
        if (!isWord('upgrade', bytes, at)) break;
        if (++upgrades > 1 || !isWholly('websocket', bytes, value, end)) return 'node';
        break;
      case 'connection'.length:
        if (!isWord('connection', bytes, at)) break;
        if (++connections > 1) return 'node';
        asksSwitch = isSwitch(bytes, value, end);
        if (!asksSwitch && !isWholly('keep-alive', bytes, value, end) && !isWholly('close', bytes, value, end))
          return 'node';
        break;
      case 'content-length'.length:
        if (!isWord('content-length', bytes, at)) break;
        if (contentLength >= 0) return 'node';
        contentLength = readLength(bytes, value, end);
        if (contentLength < 0) return 'node';
        break;
      case 'transfer-encoding'.length:
        // 'sec-websocket-key' is as long.
        if (isWord('transfer-encoding', bytes, at)) return 'node';
        if (isWord('sec-websocket-key', bytes, at) && (++keys > 1 || !isKey(bytes, value, end))) return 'node';
        break;
      case 'sec-websocket-version'.length:
        if (isWord('sec-websocket-version', bytes, at) && (++versions > 1 || !isWholly('13', bytes, value, end)))
          return 'node';
        break;
    }
    at = end + 2;
  }
  if (at + 1 === length) return undecided(MORE, length, maxHeaderBytes);
  const head = at + 2;
  if (bytes[at + 1] !== LF || head > maxHeaderBytes || hosts !== 1) return 'node';
  if (asksSwitch || upgrades + keys > 0) {
    const isHandshake = method === 'GET ' && asksSwitch && upgrades + keys + versions === 3 && contentLength < 0;
    // Frames that come with the handshake would be lost.
    return isHandshake && length === head ? 'uws' : 'node';
  }
  if (contentLength < 0 && bringsBody(method)) return 'node';
  // Behind it another request would come before this one is answered.
  return length - head > Math.max(contentLength, 0) ? 'node' : 'uws';
}

/** Its end would be uncertain without a length. */
function bringsBody(method: (typeof METHODS)[number] | undefined): boolean {
  return method === 'POST ' || method === 'PUT ' || method === 'PATCH ';
}

/** The offset of the colon behind a name. */
function endOfName(bytes: Buffer, start: number, length: number): number {
  let at = start;
  while (at < length && ((KINDS[bytes[at] ?? 0] ?? 0) & IN_TOKEN) !== 0) at++;
  if (at === length) return MORE;
  return bytes[at] === COLON && at > start ? at : WRONG;
}

function startOfValue(bytes: Buffer, start: number, length: number): number {
  let at = start;
  while (at < length && bytes[at] === SP) at++;
  return at;
}

/** The offset of the CR LF behind a value of printable ASCII. */
function endOfValue(bytes: Buffer, start: number, length: number): number {
  let at = start;
  for (; at < length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= SP && byte < DEL) continue;
    if (byte !== CR) return WRONG;
    if (at + 1 === length) return MORE;
    return bytes[at + 1] === LF ? at : WRONG;
  }
  return MORE;
}

/** The offset behind `text`, letter for letter. */
function behind(text: string, bytes: Buffer, start: number, length: number): number {
  for (let index = 0; index < text.length; index++) {
    if (start + index >= length) return MORE;
    if (bytes[start + index] !== text.charCodeAt(index)) return WRONG;
  }
  return start + text.length;
}

/** Whether `word` (lower case) stands there, in any case. All of it has come. */
function isWord(word: string, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < word.length; index++) {
    if (lowerCase(bytes[start + index] ?? 0) !== word.charCodeAt(index)) return false;
  }
  return true;
}

function isWholly(word: string, bytes: Buffer, start: number, end: number): boolean {
  return end - start === word.length && isWord(word, bytes, start);
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Whether a Connection field is "Upgrade", alone or beside "keep-alive": all that handshakes have. */
function isSwitch(bytes: Buffer, start: number, end: number): boolean {
  let found = false;
  let at = start;
  while (at < end) {
    if (isWord('upgrade', bytes, at)) {
      at += 'upgrade'.length;
      found = true;
    } else if (isWord('keep-alive', bytes, at)) at += 'keep-alive'.length;
    else return false;
    if (at === end) return found;
    if (bytes[at] !== COMMA) return false;
    at++;
    while (at < end && bytes[at] === SP) at++;
  }
  return false;
}

/** -1 for what is not digits only. */
function readLength(bytes: Buffer, start: number, end: number): number {
  if (start === end || end - start > MAX_LENGTH_DIGITS) return -1;
  let number = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < ZERO || byte > NINE) return -1;
    number = number * 10 + (byte - ZERO);
  }
  return number;
}

function isKey(bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== KEY_LENGTH) return false;
  for (let at = start; at < end - 2; at++) {
    if (((KINDS[bytes[at] ?? 0] ?? 0) & IN_BASE64) === 0) return false;
  }
  return behind('==', bytes, end - 2, end) === end;
}

function kindsOfBytes(): Uint8Array {
  const kinds = new Uint8Array(256);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  for (const byte of Buffer.from(letters)) kinds[byte] = IN_TOKEN | IN_BASE64;
  for (const byte of Buffer.from("!#$%&'*.^_`|~-")) kinds[byte] = IN_TOKEN;
  kinds[0x2b] = IN_TOKEN | IN_BASE64;
  kinds[SLASH] = IN_BASE64;
  return kinds;
}
