// The manual pages, runnel(1) and runnel.toml(5), made from the commands' help and from the schema.

import { formatValue } from '../../dist/src/config/reading/problems.js';
import { tablesOf } from '../../dist/src/config/reading/suggest.js';
import { EXAMPLE } from '../../dist/src/config/reference.js';
import { SCHEMA } from '../../dist/src/gateway/config.js';

/** runnel(1). @param date "2026-11-20". */
export function commandPage(verbs, version, date) {
  const flags = (verb) =>
    Object.entries(verb.flags).map(([name, flag]) => {
      const long = `\\fB\\-\\-${escaped(name)}\\fR${flag.value === undefined ? '' : ` \\fI${escaped(flag.value)}\\fR`}`;
      const short = flag.short === undefined ? '' : `\\fB\\-${flag.short}\\fR, `;
      return `.TP\n${short}${long}\n${escaped(flag.doc)}`;
    });
  return page('runnel', 1, 'User Commands', version, date, [
    section('NAME', 'runnel \\- serve web pages, CGI programs and live streams of program output'),
    section('SYNOPSIS', ...verbs.flatMap(({ usage }) => ['.nf', escaped(usage), '.fi'])),
    section(
      'DESCRIPTION',
      'Runnel is an edge gateway for small Linux boards. It serves files, runs CGI programs and turns what programs print into live',
      'streams, with one process and one configuration, which is described in',
      '.BR runnel.toml (5).',
    ),
    section('COMMANDS', ...verbs.flatMap((verb) => [`.SS ${escaped(verb.usage)}`, escaped(verb.doc), ...flags(verb)])),
    section(
      'EXIT STATUS',
      ...[
        ['0', 'Stopped cleanly.'],
        ['1', 'The configuration is wrong. Every problem of it was printed.'],
        ['2', 'The command line is wrong.'],
        ['70', 'An internal error.'],
        ['71', 'The system refused: an address is in use, or is not one of this machine.'],
        ['73', 'The system refused because a permission is missing.'],
      ].map(([code, meaning]) => `.TP\n.B ${code}\n${escaped(meaning)}`),
    ),
    section(
      'SIGNALS',
      '.TP\n.BR TERM ", " INT',
      'Finish what is under way, then stop. A second one stops at once.',
      '.TP\n.B HUP',
      'Reload the configuration and the certificates. "runnel reload" does the same, and waits for the result.',
      '.TP\n.B USR1',
      'Open the files of the log again, after logrotate has renamed them.',
    ),
    section(
      'ENVIRONMENT',
      '.TP\n.B RUNNEL_TMP',
      'A folder to which the native add\\-ons may be copied while they are loaded. It must be writable and not mounted noexec.',
      '.TP\n.BR NOTIFY_SOCKET ", " WATCHDOG_USEC',
      'Set by systemd for a service of type notify.',
      '.TP\n.B NO_COLOR',
      'Plain log lines on a terminal.',
    ),
    section(
      'FILES',
      '.TP\n.IR runnel.toml ", " /etc/runnel/runnel.toml',
      'The configuration, if none is named with \\-c.',
    ),
    section(
      'EXAMPLES',
      ...[
        ['runnel run -- vmstat -n 1', 'Stream the output of one command to a page, http://127.0.0.1:8080/.'],
        ['sudo runnel check && sudo systemctl reload runnel', 'Put a changed /etc/runnel/runnel.toml in force.'],
        ['runnel status', 'Show the listeners, the streams and the clients of the running gateway.'],
        ['runnel files --open-to LAN ~/Public', 'Serve one folder to the local network.'],
      ].map(([command, meaning]) => `.TP\n.B ${escaped(command)}\n${escaped(meaning)}`),
    ),
    section('SEE ALSO', '.BR runnel.toml (5),', '.BR systemd.service (5)'),
  ]);
}

/** Parts of a file for usual wishes. A test gives each to `check`. */
export const PARTS = [
  [
    'HTTPS, and a redirect of plain HTTP to it. "runnel tls self-signed" makes a certificate for a local network.',
    `[[listen]]
address = ":443"
tls = { certificate = "/etc/runnel/server.crt", key = "/etc/runnel/server.key" }

[[listen]]
address = ":80"
redirect = "https"`,
  ],
  [
    'One program for all viewers. New viewers get the last 100 lines. The program starts with the first viewer.',
    `[stream."/live/sensors"]
command = ["/usr/local/bin/read-sensors"]
share = "all"
history = 100
read_only = true`,
  ],
  [
    'An old CGI program as a live stream: the gateway runs it every five seconds while there are viewers, and sends changes.',
    `[stream."/live/status"]
poll = "/cgi-bin/status.cgi"
interval = "5s"`,
  ],
  [
    'A server behind the gateway, for users with a password. "runnel hash-password ann" prints a line of the file.',
    `[proxy."/nodered/"]
upstream = "http://127.0.0.1:1880"
auth = { basic = "/etc/runnel/users" }`,
  ],
  [
    'A picture stream of a camera, for any number of viewers.',
    `[stream."/camera"]
command = ["rpicam-vid", "-t", "0", "--codec", "mjpeg", "-o", "-"]
framing = "jpeg"
share = "all"
slow_client = "latest"`,
  ],
];

/** Tables that every kind of route has, and that are the same in each: they are described where all routes inherit from. */
const COMMON = /\.(limits|cors|auth)\]$/;

/** runnel.toml(5). */
export function configPage(version, date) {
  const tables = tablesOf(SCHEMA.root).filter(({ header }) => !COMMON.test(header) || isCommon(header));
  return page('runnel.toml', 5, 'File Formats', version, date, [
    section('NAME', 'runnel.toml \\- configuration of the runnel gateway'),
    section('SYNOPSIS', '.I runnel.toml', '.br', '.I /etc/runnel/runnel.toml'),
    section(
      'DESCRIPTION',
      prose('The file is written in TOML. The gateway reads it at its start, and again for "runnel reload".'),
      '.PP',
      prose(
        'A route is a table. Its name is the kind of the route and the path: `[static."/img/"]`. A path that ends in "/" is for everything below it. Any other path is for itself only. If several paths match a request, the longest is used.',
      ),
      '.PP',
      prose(
        'Durations are strings with a unit: "250ms", "30s", "5m", "1.5h", "7d". Sizes are strings, "64KiB" (1024 bytes each) or "1MB" (a million bytes), or a whole number of bytes. Paths of files are relative to the folder of the configuration. Commands are lists, the program first; no shell is used.',
      ),
      '.PP',
      prose(
        'An unknown key, a wrong type or a value out of bounds is an error. `runnel check` prints every error with its line and what to write instead. The gateway does not start with an error. A reload with an error changes nothing.',
      ),
    ),
    section(
      'EXAMPLES',
      'A whole file:',
      ...code(EXAMPLE),
      ...PARTS.flatMap(([meaning, part]) => ['.PP', prose(meaning), ...code(part)]),
    ),
    section('TABLES', ...tables.flatMap(table)),
    section(
      'FILES',
      '.TP\n.I runnel.toml',
      'In the current folder: the first that commands look for.',
      '.TP\n.I /etc/runnel/runnel.toml',
      'The one of the service.',
      '.TP\n.I /usr/share/doc/runnel/html',
      'The pages docs/*.md that this page names, and all others, in the Debian package.',
    ),
    section('SEE ALSO', '.BR runnel (1)'),
  ]);
}

const isCommon = (header) => header.startsWith('[defaults.');

function code(text) {
  return ['.PP', '.nf', '.RS 4', ...text.trimEnd().split('\n').map(escaped), '.RE', '.fi'];
}

function table({ header, fields, note }) {
  return [
    `.SS ${escaped(header === '' ? 'The top of the file' : header)}`,
    ...(note === undefined ? [] : [prose(note)]),
    ...Object.entries(fields).map(([name, key]) => {
      const said = [key.doc, expected(header, name, key), preset(key)].filter((sentence) => sentence !== '');
      return `.TP\n.B ${escaped(name)}\n${prose(said.join(' '))}`;
    }),
  ];
}

/** A table says no more than where it is described. */
function expected(header, name, { type }) {
  if (type.expected !== 'a table') {
    const routes = /^a table of (\[.*\]) tables$/.exec(type.expected)?.[1];
    return routes === undefined ? `Must be ${type.expected}.` : `Each route is a table ${routes}.`;
  }
  const own = `${header.replaceAll(/^\[+|\]+$/g, '')}.${name}]`.replace(/^\./, '');
  return `See ${COMMON.test(own) ? `[defaults.${name}]` : `[${own}`}.`;
}

function preset(key) {
  if (key.required) return 'Required.';
  const value = key.default === undefined ? '{}' : formatValue(key.default, []);
  return value === '{}' ? '' : `Default: ${value}.`;
}

function page(name, number, manual, version, date, sections) {
  return `${[`.TH ${name.toUpperCase()} ${number} "${date}" "runnel ${version}" "${manual}"`, ...sections].join('\n')}\n`;
}

function section(title, ...lines) {
  return [`.SH ${title}`, ...lines].join('\n');
}

/** What is in `code` is bold. Each sentence begins a line, and lines are short: mandoc(1) asks for both. */
function prose(plain) {
  const words = plain.split(' ');
  const lines = [''];
  for (const word of words) {
    const last = lines.at(-1);
    const isSentence = /[^.][.!?]$/.test(last) && /^[A-Z"`[]/.test(word);
    if (last !== '' && (isSentence || last.length + word.length > 76)) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return escaped(lines.join('\n')).replaceAll(/`([^`]*)`/g, '\\fB$1\\fR');
}

/** Text as roff takes it: no escapes, no requests, and hyphens that can be copied. */
function escaped(plain) {
  const safe = plain.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...').replaceAll('’', "'");
  return safe.replaceAll(/^([.'])/gm, '\\&$1');
}
