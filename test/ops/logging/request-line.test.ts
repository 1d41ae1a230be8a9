/** The line of a request in each form: what Apache writes, and that nothing of what a client sends is obeyed by whoever reads it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bareLine, plainLine } from '../../../src/ops/logging/lines.ts';
import {
  CombinedLines,
  type RequestRecord,
  requestFields,
  requestJson,
  requestMessage,
} from '../../../src/ops/logging/request-line.ts';
import { visible } from '../../../src/ops/visible.ts';

const RECORD: RequestRecord = {
  method: 'GET',
  target: '/a?b=c',
  version: '1.1',
  status: 200,
  bytes: 2326,
  received: 0,
  ms: 1234.56,
  route: '/',
  client: '192.0.2.7',
  user: undefined,
  login: undefined,
  id: 'r-1',
  left: false,
  host: 'board.test',
  referer: 'http://board.test/',
  agent: 'Mozilla/5.0 (X11; Linux x86_64)',
  trace: undefined,
  sample: undefined,
  notes: undefined,
};
const AT = Date.UTC(2026, 10, 29, 1, 7, 41, 500);

const combined = (changes: Partial<RequestRecord>, withTime = false) =>
  new CombinedLines(withTime).line({ ...RECORD, ...changes }, AT).replace(/\[\d\d\/.*?\]/, '[]');

const ROWS: readonly (readonly [name: string, changes: Partial<RequestRecord>, line: string])[] = [
  [
    'the usual',
    {},
    '192.0.2.7 - - [] "GET /a?b=c HTTP/1.1" 200 2326 "http://board.test/" "Mozilla/5.0 (X11; Linux x86_64)"',
  ],
  ['nothing', { bytes: 0, referer: undefined, agent: '' }, '192.0.2.7 - - [] "GET /a?b=c HTTP/1.1" 200 - "-" "-"'],
  [
    'IPv6, HTTP/2',
    { client: '2001:db8::1', version: '2.0', referer: undefined, agent: undefined },
    '2001:db8::1 - - [] "GET /a?b=c HTTP/2.0" 200 2326 "-" "-"',
  ],
  [
    'nobody knows who',
    { client: '', referer: undefined, agent: undefined },
    '- - - [] "GET /a?b=c HTTP/1.1" 200 2326 "-" "-"',
  ],
  [
    'a user',
    { user: 'ann', referer: undefined, agent: undefined },
    '192.0.2.7 - ann [] "GET /a?b=c HTTP/1.1" 200 2326 "-" "-"',
  ],
  [
    'a user with all that may be in a name',
    { user: 'a "b" [c]\n\\ü', referer: undefined, agent: undefined },
    '192.0.2.7 - a\\x20\\"b\\"\\x20[c]\\n\\\\\\xc3\\xbc [] "GET /a?b=c HTTP/1.1" 200 2326 "-" "-"',
  ],
  [
    'who said to be somebody',
    { login: 'root', status: 401, referer: undefined, agent: undefined },
    '192.0.2.7 - root [] "GET /a?b=c HTTP/1.1" 401 2326 "-" "-"',
  ],
  [
    'quotes, backslashes, control characters, bytes',
    { target: '/"\\', referer: '"\\\b\n\r\t\v\x00\x1b[31m\x7f', agent: '\xc3\xa9\xff' },
    '192.0.2.7 - - [] "GET /\\"\\\\ HTTP/1.1" 200 2326 "\\"\\\\\\b\\n\\r\\t\\v\\x00\\x1b[31m\\x7f" "\\xc3\\xa9\\xff"',
  ],
];

for (const [name, changes, line] of ROWS) test(`combined: ${name}`, () => assert.equal(combined(changes), line));

test('combined+time: the microseconds behind', () =>
  assert.match(combined({}, true), /"Mozilla\/5.0 \(X11; Linux x86_64\)" 1234560$/));

const TIMES = [
  ['UTC', '29/Nov/2026:01:07:40 +0000'],
  ['Europe/Vienna', '29/Nov/2026:02:07:40 +0100'],
  ['America/St_Johns', '28/Nov/2026:21:37:40 -0330'],
  ['Asia/Kathmandu', '29/Nov/2026:06:52:40 +0545'],
] as const;
for (const [zone, time] of TIMES)
  test(`the time is when it came, as ${zone} has it`, () => {
    const module = fileURLToPath(new URL('../../../src/ops/logging/request-line.js', import.meta.url));
    const code = `import(${JSON.stringify(module)}).then(({ CombinedLines }) => process.stdout.write(new CombinedLines(false).line(${JSON.stringify(RECORD)}, ${AT})))`;
    const line = execFileSync(process.execPath, ['-e', code], { env: { ...process.env, TZ: zone }, encoding: 'utf8' });
    assert.equal(/\[(.*?)\]/.exec(line)?.[1], time);
  });

const HOSTILE = '\x1b]0;owned\x07\x9b2J\r\nGET /fake HTTP/1.1" 200 1 "-" "\\\u202e\u2028\x7f';
const WORST: RequestRecord = {
  ...RECORD,
  user: HOSTILE,
  login: HOSTILE,
  host: HOSTILE,
  referer: HOSTILE,
  agent: HOSTILE,
  target: HOSTILE,
  notes: { because: HOSTILE },
};

for (const [name, line] of [
  ['combined', () => new CombinedLines(true).line({ ...WORST, notes: undefined }, AT)],
  ['json', () => requestJson(WORST, 'info', requestMessage(WORST))],
  ['plain', () => plainLine('info', requestMessage(WORST), requestFields(WORST, false), false)],
  ['syslog', () => bareLine(requestMessage(WORST), requestFields(WORST, false))],
] as const)
  test(`${name}: what a client sends makes neither lines nor colours`, () => {
    const written = line();
    assert.equal(written, visible(written));
    if (name === 'json') {
      const read = JSON.parse(written);
      assert.deepEqual([read.agent, read.because, read.user], [HOSTILE, HOSTILE, HOSTILE]);
    }
  });

test('json: the fields, and those that there are not', () => {
  const { time, ...read } = JSON.parse(requestJson(RECORD, 'info', requestMessage(RECORD)));
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(read, {
    level: 'info',
    message: 'GET /a?b=c',
    status: 200,
    bytes: 2326,
    ms: 1234.6,
    route: '/',
    client: '192.0.2.7',
    id: 'r-1',
    method: 'GET',
    target: '/a?b=c',
    protocol: 'HTTP/1.1',
    host: 'board.test',
    referer: 'http://board.test/',
    agent: 'Mozilla/5.0 (X11; Linux x86_64)',
  });
  const more = JSON.parse(
    requestJson({
      ...RECORD,
      received: 3,
      user: 'ann',
      login: 'x',
      left: true,
      sample: 10,
      trace: 'ab',
      notes: { exit: 1, none: undefined },
    }),
  );
  assert.deepEqual(
    [
      more.level,
      more.received,
      more.user,
      more.login,
      more.left,
      more.sample,
      more.trace_id,
      more.exit,
      'none' in more,
    ],
    [undefined, 3, 'ann', 'x', true, 10, 'ab', 1, false],
  );
});

test('json: a field of bytes is text where it is UTF-8', () => {
  const read = (agent: string) => JSON.parse(requestJson({ ...RECORD, agent })).agent;
  assert.equal(read('caf\xc3\xa9'), 'café');
  assert.equal(read('caf\xe9'), 'caf\xe9');
});
