// The status page: follows `status/live` while it is seen, and shows what it says.
import { streamUrl } from './addresses.js';
import { tile } from './chart.js';
import { streamConsole } from './console.js';
import { element, facts, grid, keyed, setText, show } from './tables.js';
import { clock, counted, plural, short, size, span } from './words.js';

/** Points of a chart since the page is open: ten minutes. */
const MOST_POINTS = 300;
/** Milliseconds until it is tried again, where the browser does not by itself. */
const AGAIN = 3000;

const byId = (id) => document.getElementById(id);
/** Everything that the gateway has told: items by name. */
let items = new Map();
let mayAct = false;
let listeners = [];
/** Keys of the routes that have this page. */
let pages = [];
let serverNow = 0;
let lastTotals;
let lastAt = 0;
let source;
let again;
const minutes = { requests: [], errors: [], messages: [], viewers: [], resident: [], processor: [], time: [] };

// ---- what may be done ----

async function act(action, question) {
  if (!(await confirmed(question))) return;
  const told = byId('told');
  setText(told, '…');
  try {
    const answer = await fetch('status/act', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(action),
    });
    const text = await answer.text();
    told.classList.toggle('bad', !answer.ok);
    setText(told, resultOf(text) ?? `${answer.status} ${text}`);
  } catch (error) {
    told.classList.add('bad');
    setText(told, `The gateway did not answer: ${error.message}`);
  }
}

function resultOf(text) {
  try {
    return JSON.parse(text).text;
  } catch {
    return undefined;
  }
}

function confirmed(question) {
  const dialog = byId('ask');
  setText(byId('ask-text'), question);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

const button = (text, label, onclick) => element('button', { type: 'button', 'aria-label': label, onclick }, text);

// ---- the lists ----

const listOf = (name) => [...items].filter(([key]) => key.startsWith(`${name} `)).map(([, item]) => item);

const perSecond = new Map();

const showRoutes = grid(
  byId('route-table'),
  'Routes: requests, statuses and what was refused, since the start of the gateway',
  [
    ['Route', ({ key }) => (key === '-' ? 'no route' : key), 'key'],
    ['Kind', ({ kind }) => kind],
    ['Per second', ({ rate, key, kind }) => short(perSecond.get(`${kind} ${key}`) ?? rate), 'number'],
    ['Requests', ({ requests }) => short(requests), 'number'],
    ['2xx', ({ statuses }) => short((statuses['2xx'] ?? 0) + (statuses['1xx'] ?? 0)), 'number'],
    ['3xx', ({ statuses }) => short(statuses['3xx'] ?? 0), 'number'],
    ['4xx', ({ statuses }) => short(statuses['4xx'] ?? 0), 'number warn'],
    ['5xx', ({ statuses }) => short(statuses['5xx'] ?? 0), 'number bad'],
    ['Mean time', ({ time }) => (time === undefined ? '' : duration(time.mean)), 'number'],
    ['95 % within', ({ time }) => (time === undefined ? '' : duration(time.p95)), 'number'],
    ['Sent', ({ bytesOut }) => (bytesOut === 0 ? '' : size(bytesOut)), 'number'],
    ['Refused', ({ refused, aborted }) => counted({ ...refused, ...(aborted > 0 ? { left: aborted } : {}) })],
  ],
  ({ kind, key }) => `${kind} ${key}`,
);

function duration(seconds) {
  return seconds < 1 ? `${short(seconds * 1000)} ms` : `${short(seconds)} s`;
}

const showPrograms = grid(
  byId('program-table'),
  'Programs that run',
  [
    ['Route', ({ route }) => route, 'key'],
    ['Number', ({ pid, ending }) => `${pid}${ending ? ' (ending)' : ''}`, 'number'],
    ['Runs for', ({ since }) => span((serverNow - since) / 1000), 'number'],
    ['Processor', ({ processor }) => (processor === undefined ? '' : `${short(processor)} s`), 'number'],
    ['Memory', ({ resident }) => (resident === undefined ? '' : size(resident)), 'number'],
    ['Last words', ({ words }) => words.at(-1) ?? '', 'words'],
  ],
  ({ pid }) => pid,
  ({ pid, route }) => [
    button('End', `End program ${pid} of ${route}`, () =>
      act({ action: 'restart', pid }, `End program ${pid} of ${route}? Its route starts it again by its own rule.`),
    ),
  ],
);

const showFailures = keyed(
  byId('failure-list'),
  ({ route }) => route,
  () => {
    const text = element('span', {});
    const words = element('code', {});
    return {
      root: element('li', {}, text, ' ', words),
      update(item) {
        setText(text, `${item.route} failed at ${clock(item.time)}: ${item.how} (${item.pid})`);
        setText(words, item.words.join('\n'));
        show(words, item.words.length > 0);
      },
    };
  },
);

const showListeners = keyed(
  byId('listener-list'),
  ({ name, admin }) => `${admin} ${name}`,
  (first) => {
    const title = element('h3', {}, first.url);
    const state = element('span', { class: 'badge bad' }, 'down for maintenance');
    const own = facts();
    const certificates = element('ul', { class: 'plain' });
    const showCertificates = keyed(
      certificates,
      ({ fingerprint }) => fingerprint,
      ({ fingerprint }) => {
        const text = element('span', {});
        const root = element('li', {}, text, ' ', element('code', { class: 'fingerprint' }, `SHA-256 ${fingerprint}`));
        return {
          root,
          update({ names, title: name, daysLeft }) {
            const left = daysLeft < 0 ? 'expired' : `${plural(daysLeft, 'day')} left`;
            setText(text, `Certificate for ${names.length === 0 ? name : names.join(', ')}: ${left}`);
            text.className = daysLeft < 7 ? 'bad' : daysLeft < 30 ? 'warn' : '';
          },
        };
      },
    );
    const toggle = button('', '', () => {
      const { name, down } = now;
      const question = down
        ? `Take ${name} up again?`
        : `Take ${name} down for maintenance? /readyz says no then, and connections are served as before.`;
      act({ action: 'maintenance', listener: name, down: !down }, question);
    });
    let now = first;
    return {
      root: element('li', {}, element('div', { class: 'head' }, title, state, toggle), own.root, certificates),
      update(item) {
        now = item;
        show(state, item.down);
        show(toggle, mayAct && !item.admin);
        const words = item.down ? 'Take up again' : 'Take down';
        setText(toggle, words);
        toggle.setAttribute('aria-label', `${words}: ${item.name}`);
        own.set('Configured as', item.name);
        own.set('For', item.admin ? 'the operator' : '');
        own.set('Engine', item.engine);
        own.set('Connections', item.connections === undefined ? '' : short(item.connections));
        own.set('Refused', item.refused === 0 ? '' : short(item.refused), 'warn');
        showCertificates(item.certificates);
      },
    };
  },
);

const showStreams = keyed(
  byId('stream-list'),
  ({ key }) => key,
  (first) => {
    const { key } = first;
    const state = element('span', { class: 'badge' });
    const tryIt = button('Try', `Try ${key} in the console`, () => {
      byId('c-path').value = key.slice(key.indexOf('/'));
      byId('console').scrollIntoView();
      // A key that ends with "/" is for what is below it: the rest is typed.
      byId(key.endsWith('/') ? 'c-path' : 'c-open').focus();
    });
    const link = element(
      'a',
      { target: '_blank', rel: 'noopener noreferrer', 'aria-label': `Open ${key} in a tab of its own` },
      'Open',
    );
    const own = facts();
    const channels = element('ul', { class: 'plain' });
    const showChannels = keyed(
      channels,
      ({ id }) => id,
      () => channelOf(key),
    );
    const more = element('p', { class: 'quiet' });
    return {
      root: element(
        'li',
        {},
        element('div', { class: 'head' }, element('h3', {}, key), state, link, tryIt),
        own.root,
        channels,
        more,
      ),
      update(item) {
        const [only] = item.channels;
        const word =
          item.channels.length === 1
            ? only.source.state
            : item.channels.length === 0
              ? 'idle'
              : `${short(item.channelCount)} channels`;
        setText(state, word);
        state.className = `badge ${{ running: 'good', away: 'bad', restarting: 'bad', ended: 'warn' }[word] ?? ''}`;
        show(tryIt, mayAct);
        const url = streamUrl(key, location, listeners, pages);
        show(link, url !== undefined);
        if (url !== undefined && link.getAttribute('href') !== url) link.setAttribute('href', url);
        own.set(
          'Source',
          `${item.source}, ${item.share === 'client' ? 'one for each viewer' : `shared by ${item.share}`}`,
        );
        own.set('Viewers', `${short(item.viewers)}${item.viewers === 0 ? '' : ` (${counted(item.transports)})`}`);
        own.set(
          'Messages',
          `${short(item.messagesOut)} out${item.messagesIn > 0 ? `, ${short(item.messagesIn)} in` : ''}${perSecond.get(key) ? `, ${short(perSecond.get(key))} a second` : ''}`,
        );
        own.set(
          'Behind',
          item.behind === 0 ? '' : `${plural(item.behind, 'viewer')}, ${size(item.backlog)} wait`,
          'warn',
        );
        own.set('Dropped', counted(item.dropped), 'warn');
        showChannels(item.channels);
        setText(
          more,
          item.channelCount > item.channels.length ? `and ${short(item.channelCount - item.channels.length)} more` : '',
        );
      },
    };
  },
);

function channelOf(key) {
  const own = facts();
  const last = element('ol', { class: 'messages' });
  const clients = element('ul', { class: 'plain' });
  const details = element('details', {}, element('summary', {}), clients);
  const showLast = keyed(
    last,
    ({ id }) => id,
    (item) => {
      const text = element('code', {});
      return {
        root: element(
          'li',
          {},
          text,
          element(
            'span',
            { class: 'quiet' },
            item.binary ? ` ${size(item.bytes)}, binary` : item.bytes > 160 ? ` ${size(item.bytes)}` : '',
          ),
        ),
        update: ({ text: shown, binary }) => setText(text, binary ? `${shown} …` : shown),
      };
    },
  );
  const showClients = keyed(
    clients,
    ({ name }) => name,
    ({ name, address }) => {
      const text = element('span', {});
      const end = button('End', `End connection ${name} of ${address}`, () =>
        act({ action: 'end-client', route: key, client: name }, `End the connection ${name} of ${address} to ${key}?`),
      );
      return {
        root: element('li', {}, text, ' ', end),
        update(item) {
          show(end, mayAct);
          setText(
            text,
            `${item.name} ${item.transport} ${item.address}${item.user === undefined ? '' : `, ${item.user}`}${item.backlog > 0 ? `, ${size(item.backlog)} wait` : ''}`,
          );
        },
      };
    },
  );
  return {
    root: element('li', {}, own.root, last, details),
    update({ name, source: from, restarts, kept, keptBytes, last: messages, clients: present, viewers }) {
      own.set('Channel', name);
      const age =
        from.state === 'running' && from.since !== undefined ? ` for ${span((serverNow - from.since) / 1000)}` : '';
      own.set('Source is', `${from.state}${age}${from.pid === undefined ? '' : `, program ${from.pid}`}`);
      own.set('Because', from.why ?? '', 'bad');
      own.set('Restarts', restarts === 0 ? '' : short(restarts), 'warn');
      own.set('Kept', kept === 0 ? '' : `${plural(kept, 'message')}, ${size(keptBytes)}`);
      showLast(messages);
      show(last, messages.length > 0);
      showClients(present);
      show(details, present.length > 0);
      setText(
        details.firstElementChild,
        present.length < viewers
          ? `The first ${present.length} of ${plural(viewers, 'viewer')}`
          : plural(present.length, 'viewer'),
      );
    },
  };
}

const showTrouble = keyed(
  byId('error-list'),
  ({ number }) => number,
  ({ time, level, message, fields, times }) => {
    const about = Object.entries(fields)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
    return {
      root: element(
        'li',
        { class: level },
        element('span', { class: `badge ${level === 'error' ? 'bad' : 'warn'}` }, level),
        ` ${clock(time)} ${message} ${times > 1 ? `(${times} times) ` : ''}`,
        element('code', {}, about),
      ),
      update() {},
    };
  },
);

// ---- the charts ----

const tiles = Object.fromEntries(
  [
    ['requests', 'Requests a second'],
    ['errors', 'Errors (5xx) a second'],
    ['time', 'Mean time of an answer'],
    ['messages', 'Messages out a second'],
    ['viewers', 'Viewers'],
    ['resident', 'Memory'],
    ['processor', 'Processor'],
  ].map(([name, title]) => {
    const made = tile(title);
    byId('tiles').append(made.root);
    return [name, made];
  }),
);

function countTotals({ totals }, now) {
  const seconds = (now - lastAt) / 1000;
  if (lastTotals !== undefined && seconds > 0.5) {
    const rate = (name) => Math.max(0, (totals[name] - lastTotals[name]) / seconds);
    const timed = totals.timed - lastTotals.timed;
    const point = {
      requests: rate('requests'),
      errors: rate('errors'),
      messages: rate('messages'),
      viewers: totals.viewers,
      resident: totals.resident,
      processor: rate('processor'),
      time: timed > 0 ? ((totals.requestSeconds - lastTotals.requestSeconds) / timed) * 1000 : 0,
    };
    for (const [name, list] of Object.entries(minutes)) {
      list.push(point[name]);
      if (list.length > MOST_POINTS) list.shift();
    }
  }
  lastTotals = totals;
  lastAt = now;
}

function showTiles() {
  const { memory, totals } = items.get('gateway');
  const hour = items.get('hour');
  const wantsHour = document.querySelector('[name=span]:checked').value === 'hour';
  const of = (name) => (wantsHour ? hour[name] : minutes[name]);
  const nowOf = (name) => minutes[name].at(-1) ?? hour[name].at(-1) ?? 0;
  const share =
    memory.limit === undefined ? '' : `of ${size(memory.limit)}: ${short((memory.resident / memory.limit) * 100)} %`;
  tiles.requests.update(short(nowOf('requests')), `${short(totals.requests)} since the start`, of('requests'));
  tiles.errors.update(short(nowOf('errors')), `${short(totals.errors)} since the start`, of('errors'), 1);
  tiles.time.update(`${short(nowOf('time'))} ms`, '', of('time'), 1);
  tiles.messages.update(short(nowOf('messages')), `${short(totals.messages)} since the start`, of('messages'));
  tiles.viewers.update(short(totals.viewers), plural(totals.connections, 'connection'), of('viewers'), 1);
  tiles.resident.update(size(memory.resident), share, of('resident'));
  tiles.processor.update(`${short(nowOf('processor') * 100)} %`, 'of one core', of('processor'), 0.05);
}

// ---- the whole ----

function render() {
  const gateway = items.get('gateway');
  if (gateway === undefined) return;
  const { version, node, pid, started, ready, notReady, configuration, programsMax, logDropped, totals } = gateway;
  setText(byId('version'), version);
  const badge = byId('ready');
  setText(badge, ready ? 'ready' : 'not ready');
  badge.className = `badge ${ready ? 'good' : 'bad'}`;
  const { reload, file, loaded } = configuration;
  const reloaded =
    reload === undefined
      ? ''
      : reload.ok
        ? `, last reload at ${clock(reload.time)}`
        : `; the reload at ${clock(reload.time)} FAILED: ${reload.why}`;
  const facts = [
    `up ${span((serverNow - started) / 1000)}`,
    file === undefined ? 'no file' : `${file}, read at ${clock(loaded)}${reloaded}`,
    `process ${pid}, Node ${node}`,
  ];
  if (logDropped > 0) facts.push(`${short(logDropped)} log lines dropped`);
  setText(byId('facts'), facts.join(' · '));
  setText(byId('not-ready'), notReady.join('\n'));
  show(byId('not-ready'), !ready);
  show(byId('reload'), mayAct);
  show(byId('console-form'), mayAct);
  show(byId('no-console'), !mayAct);
  byId('program-table').classList.toggle('no-actions', !mayAct);
  showTiles();
  const streams = listOf('streams');
  const routes = listOf('routes');
  listeners = listOf('listeners');
  pages = routes.filter(({ kind }) => kind === 'status').map(({ key }) => key);
  showStreams(streams);
  show(byId('no-streams'), streams.length === 0);
  showRoutes(routes);
  showListeners(listeners);
  const programs = listOf('programs');
  showPrograms(programs);
  show(byId('program-table'), programs.length > 0);
  const left = totals.programs - programs.length;
  setText(
    byId('program-count'),
    `${plural(totals.programs, 'program')} of at most ${short(programsMax)}${left > 0 ? `; the first ${programs.length} are shown` : ''}`,
  );
  showFailures(listOf('failures'));
  const trouble = listOf('trouble').sort((a, b) => b.number - a.number);
  showTrouble(trouble);
  show(byId('no-errors'), trouble.length === 0);
  const paths = streams.map(({ key }) => key.slice(key.indexOf('/')));
  if (byId('c-paths').childElementCount !== paths.length)
    byId('c-paths').replaceChildren(...paths.map((value) => element('option', { value })));
}

function takeChanges({ now, whole, set, gone }) {
  const seconds = (now - serverNow) / 1000;
  const before = whole ? new Map() : items;
  if (whole) items = new Map();
  if (!whole) for (const name of perSecond.keys()) perSecond.set(name, 0);
  for (const name of gone) items.delete(name);
  for (const [name, item] of Object.entries(set)) {
    const old = before.get(name);
    if (old !== undefined && seconds > 0.5) {
      if (name.startsWith('routes '))
        perSecond.set(`${item.kind} ${item.key}`, (item.requests - old.requests) / seconds);
      if (name.startsWith('streams ')) perSecond.set(item.key, (item.messagesOut - old.messagesOut) / seconds);
    }
    items.set(name, item);
  }
  serverNow = now;
  countTotals(items.get('gateway'), now);
  render();
}

function tell(words) {
  setText(byId('live'), words);
}

/** Only while it is seen: it costs the gateway nothing otherwise. */
function follow() {
  clearTimeout(again);
  if (document.hidden || source !== undefined) return;
  source = new EventSource('status/live');
  source.onmessage = ({ data }) => {
    tell('live');
    takeChanges(JSON.parse(data));
  };
  source.onerror = () => {
    tell('the gateway does not answer; trying again');
    if (source.readyState !== EventSource.CLOSED) return;
    leave();
    again = setTimeout(follow, AGAIN);
  };
}

function leave() {
  source?.close();
  source = undefined;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) follow();
  else {
    leave();
    // A gap is no line.
    lastTotals = undefined;
    tell('paused while this page is not seen');
  }
});
byId('reload').addEventListener('click', () =>
  act({ action: 'reload' }, 'Read the configuration and the certificates anew?'),
);
for (const input of document.querySelectorAll('[name=span]')) input.addEventListener('change', showTiles);

async function begin() {
  const first = await fetch('status.json')
    .then((answer) => answer.json())
    .catch(() => undefined);
  mayAct = first?.actions === true;
  follow();
}

// A route that shows the status has no metrics beside it.
show(byId('metrics'), location.pathname === '/');
streamConsole();
begin();
