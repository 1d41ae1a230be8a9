// The manual pages, runnel(1) and runnel.toml(5), made from the commands' help and from the schema.

import { formatValue } from '../../dist/src/config/reading/problems.js';
import { tablesOf } from '../../dist/src/config/reading/suggest.js';
import { EXAMPLE } from '../../dist/src/config/reference.js';
import { SCHEMA } from '../../dist/src/gateway/config.js';

/** runnel(1). @param date "2026-11-20". */
export function commandPage(verbs, version, date) {
  const flags = (verb) =>
    Object.entries(verb.flags).map(([name, flag]) => {
      const long = `\\fB\\-\\-${text(name)}\\fR${flag.value === undefined ? '' : ` \\fI${text(flag.value)}\\fR`}`;
      const short = flag.short === undefined ? '' : `\\fB\\-${flag.short}\\fR, `;
      return `.TP\n${short}${long}\n${text(flag.doc)}`;
    });
  return page('runnel', 1, 'User Commands', version, date, [
    section('NAME', 'runnel \\- serve web pages, CGI programs and live streams of program output'),
    section('SYNOPSIS', ...verbs.flatMap(({ usage }) => ['.nf', text(usage), '.fi'])),
    section(
      'DESCRIPTION',
      'Runnel is an edge gateway for small Linux boards. It serves files, runs CGI programs and turns what programs print into live',
      'streams, with one process and one configuration, which is described in',
      '.BR runnel.toml (5).',
    ),
    section('COMMANDS', ...verbs.flatMap((verb) => [`.SS ${text(verb.usage)}`, text(verb.doc), ...flags(verb)])),
    section(
      'EXIT STATUS',
      ...[
        ['0', 'Stopped cleanly.'],
        ['1', 'The configuration is wrong. Every problem of it was printed.'],
        ['2', 'The command line is wrong.'],
        ['70', 'An internal error.'],
        ['71', 'The system refused: an address is in use, or is not one of this machine.'],
        ['73', 'The system refused because a permission is missing.'],
      ].map(([code, meaning]) => `.TP\n.B ${code}\n${text(meaning)}`),
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
      ].map(([command, meaning]) => `.TP\n.B ${text(command)}\n${text(meaning)}`),
    ),
    section('SEE ALSO', '.BR runnel.toml (5),', '.BR systemd.service (5)'),
  ]);
}

/** runnel.toml(5). */
export function configPage(version, date) {
  const tables = tablesOf(SCHEMA.root).filter(
    ({ header }) => !header.endsWith('.limits]') || header === '[defaults.limits]',
  );
  return page('runnel.toml', 5, 'File Formats', version, date, [
    section('NAME', 'runnel.toml \\- configuration of the runnel gateway'),
    section('SYNOPSIS', '.I /etc/runnel/runnel.toml'),
    section(
      'DESCRIPTION',
      'A TOML file. The name of a table says what serves a path, and its key is that path. A key that ends in "/" is a prefix, any',
      'other is exact. The longest match wins.',
      '.PP',
      'Durations are strings with a unit: "250ms", "30s", "5m", "1.5h", "7d". Sizes are strings, "64KiB" (1024 bytes each) or "1MB" (a',
      'million bytes), or a whole number of bytes. Paths are relative to the folder of the file. Commands are lists, the program first.',
      '.PP',
      'An unknown key, a wrong type or a value out of bounds is an error. The gateway does not start with an error.',
      '.B runnel check',
      'prints all of them.',
    ),
    section('EXAMPLE', '.nf', ...EXAMPLE.trimEnd().split('\n').map(text), '.fi'),
    section('TABLES', ...tables.flatMap(table)),
    section('SEE ALSO', '.BR runnel (1)'),
  ]);
}

function table({ header, fields, note }) {
  return [
    `.SS ${text(header === '' ? 'The top of the file' : header)}`,
    ...(note === undefined ? [] : [text(note)]),
    ...Object.entries(fields).map(([name, key]) => {
      const preset = key.required
        ? 'Required.'
        : key.default === undefined
          ? ''
          : `Default: ${formatValue(key.default, [])}.`;
      return `.TP\n.B ${text(name)}\n${text(`${key.doc} Must be ${key.type.expected}. ${preset}`.trim())}`;
    }),
  ];
}

function page(name, number, manual, version, date, sections) {
  return `${[`.TH ${name.toUpperCase()} ${number} "${date}" "runnel ${version}" "${manual}"`, ...sections].join('\n')}\n`;
}

function section(title, ...lines) {
  return [`.SH ${title}`, ...lines].join('\n');
}

/** Text as roff takes it: no escapes, no requests, and hyphens that can be copied. */
function text(plain) {
  const escaped = plain.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...').replaceAll('’', "'");
  return escaped.replaceAll(/^([.'])/gm, '\\&$1');
}
