/** A gateway's status as a text of a few aligned lines for a terminal. Pure. */
import type { Counts, GatewayStatus, ListenerStatus, StreamStatus } from '../../ops/status.ts';
import { visible } from '../../ops/visible.ts';

export interface TextOptions {
  readonly colour: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

/** Rows of a list that are shown. */
const MOST_ROWS = 40;
/** Errors that are shown. */
const MOST_ERRORS = 5;

type Paint = (text: string, kind: 'good' | 'warn' | 'bad' | 'quiet' | 'title') => string;

const COLOUR = /(\x1b\[\d*m)/;
const COLOURS = { good: '32', warn: '33', bad: '31', quiet: '2', title: '1' } as const;

export function statusText(status: GatewayStatus, { colour, width }: TextOptions): string {
  const paint: Paint = (text, kind) => (colour ? `\x1b[${COLOURS[kind]}m${text}\x1b[0m` : text);
  const lines = [
    ...head(status, paint),
    ...section('LISTENERS', listenerRows(status), paint),
    ...section('ROUTES', routeRows(status), paint),
    ...section('STREAMS', streamRows(status), paint),
    ...section('PROGRAMS', programRows(status), paint),
    ...trouble(status, paint),
  ];
  return `${lines.map((line) => cut(line, width)).join('\n')}\n`;
}

function head(status: GatewayStatus, paint: Paint): readonly string[] {
  const { version, pid, started, now, ready, notReady, configuration, memory, totals, programsMax } = status;
  const { file, reload } = configuration;
  const state = ready ? paint('ready', 'good') : paint('not ready', 'bad');
  const limit = memory.limit === undefined ? '' : ` of ${size(memory.limit)}`;
  const last =
    reload === undefined
      ? ''
      : reload.ok
        ? `, reloaded ${ago(now - reload.time)}`
        : paint(`, reload failed ${ago(now - reload.time)}: ${visible(reload.why ?? '')}`, 'bad');
  return [
    `${paint(`runnel ${version}`, 'title')}  ${state}  up ${span(now - started)}  process ${pid}`,
    ...notReady.map((why) => `  ${paint(visible(why), 'bad')}`),
    ...(file === undefined ? [] : [`file      ${visible(file)}${last}`]),
    `memory    ${size(memory.resident)}${limit}   programs ${totals.programs} of ${programsMax}   viewers ${totals.viewers}   connections ${totals.connections}`,
    `requests  ${count(totals.requests)}, ${totals.errors > 0 ? paint(`${count(totals.errors)} errors`, 'bad') : 'no errors'}   messages ${count(totals.messages)} out`,
  ];
}

/** Rows of equal columns; the first is the titles. */
type Rows = readonly (readonly string[])[];

function section(title: string, rows: Rows, paint: Paint): readonly string[] {
  if (rows.length < 2) return [];
  const shown = rows.slice(0, MOST_ROWS + 1);
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...shown.map((row) => (row[at] ?? '').length)));
  const lines = shown.map((row, index) => {
    const line = row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
    return index === 0 ? paint(line, 'quiet') : line;
  });
  const more = rows.length - shown.length;
  return ['', paint(title, 'title'), ...lines, ...(more > 0 ? [paint(`and ${more} more`, 'quiet')] : [])];
}

function listenerRows({ listeners }: GatewayStatus): Rows {
  const rows = listeners.flatMap((listener) => {
    const { name, url, engine, connections, refused, admin } = listener;
    const first = [
      url === name ? name : `${name}  ${url}`,
      admin ? 'admin' : engine,
      number(connections),
      number(refused),
    ];
    return [[...first, stateOf(listener)]];
  });
  return [['address', 'engine', 'connections', 'refused', ''], ...rows];
}

function stateOf({ down, certificates }: ListenerStatus): string {
  const days = certificates.map(({ title, daysLeft }) =>
    daysLeft < 0 ? `${visible(title)} EXPIRED` : `${visible(title)} ${daysLeft} d left`,
  );
  return [...(down ? ['DOWN for maintenance'] : []), ...days].join(', ');
}

function routeRows({ routes }: GatewayStatus): Rows {
  const rows = routes.map(({ key, kind, requests, rate, statuses, refused, time }) => [
    key === '-' ? '(no route)' : visible(key),
    kind,
    count(requests),
    rate.toPrecision(2),
    number(statuses['4xx']),
    number(statuses['5xx']),
    time === undefined ? '' : `${(time.mean * 1000).toFixed(1)} ms`,
    counts(refused),
  ]);
  return [['path', 'kind', 'requests', 'per s', '4xx', '5xx', 'mean', 'refused'], ...rows];
}

function streamRows({ streams }: GatewayStatus): Rows {
  const rows = streams.map((stream) => [
    visible(stream.key),
    stream.source,
    sourceState(stream),
    `${stream.viewers}${stream.viewers > 0 ? ` (${counts(stream.transports)})` : ''}`,
    count(stream.messagesOut),
    stream.behind > 0 ? `${stream.behind}, ${size(stream.backlog)}` : '',
    counts(stream.dropped),
  ]);
  return [['path', 'source', 'state', 'viewers', 'messages', 'behind', 'dropped'], ...rows];
}

function sourceState({ channels, channelCount }: StreamStatus): string {
  const [only] = channels;
  if (only === undefined) return 'idle';
  const { source, restarts } = only;
  const again = restarts > 0 ? `, ${restarts} restarts` : '';
  return channelCount > 1 ? `${channelCount} channels` : `${source.state}${again}`;
}

function programRows({ programs, now }: GatewayStatus): Rows {
  const rows = programs.map(({ route, pid, since, processor, resident, words }) => [
    visible(route),
    String(pid),
    span(now - since),
    processor === undefined ? '' : `${processor.toFixed(2)} s`,
    resident === undefined ? '' : size(resident),
    visible(words.at(-1) ?? ''),
  ]);
  return [['route', 'number', 'runs for', 'processor', 'memory', 'last words'], ...rows];
}

function trouble({ trouble: all, failures, now }: GatewayStatus, paint: Paint): readonly string[] {
  const failed = failures.map(
    ({ route, time, how, words }) =>
      `${ago(now - time)}  ${visible(route)} failed: ${how}${words.length === 0 ? '' : `; ${visible(words.at(-1) ?? '')}`}`,
  );
  const errors = all.slice(0, MOST_ERRORS).map(({ time, level, message, fields, times }) => {
    const id = fields['id'] === undefined ? '' : `  id ${visible(String(fields['id']))}`;
    const route = fields['route'] === undefined ? '' : `  ${visible(String(fields['route']))}`;
    return `${ago(now - time)}  ${paint(level, level === 'error' ? 'bad' : 'warn')}  ${visible(message)}${times > 1 ? ` (${times} times)` : ''}${route}${id}`;
  });
  const lines = [...failed, ...errors];
  return lines.length === 0 ? [] : ['', paint('LAST ERRORS AND WARNINGS', 'title'), ...lines];
}

function number(value: number | undefined): string {
  return value === undefined || value === 0 ? '' : count(value);
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function counts(all: Counts): string {
  return Object.entries(all)
    .map(([name, value]) => `${count(value)} ${visible(name)}`)
    .join(', ');
}

/** Bytes: "12.3 MiB". */
function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let at = 0;
  let value = bytes;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1024;
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** Milliseconds: "3 d 4 h". */
function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}

function ago(milliseconds: number): string {
  return `${span(milliseconds)} ago`;
}

/** At most so many columns; colours take none, and stay. */
function cut(line: string, width: number): string {
  const parts = line.split(COLOUR);
  // What a group of the pattern has matched stands between the texts.
  const length = parts.reduce((sum, part, at) => sum + (at % 2 === 0 ? part.length : 0), 0);
  if (length <= width) return line;
  let left = Math.max(1, width - 1);
  let isCut = false;
  return parts
    .map((part, at) => {
      if (at % 2 === 1) return part;
      const shown = part.slice(0, left);
      left -= shown.length;
      if (isCut || shown.length === part.length) return shown;
      isCut = true;
      return `${shown}…`;
    })
    .join('');
}
