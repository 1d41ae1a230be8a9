// The page of one stream: its connection, what it shows, the buttons and the line for input.
import { isGroupHeading, isHeading, isLogLine, numberIn, objectIn } from './kinds.js';
import { fill, Lines, MANY, MOST_LINES } from './lines.js';
import { PLAIN, parseLine, screenParts } from './terminal.js';
import { FieldsView, NumberView, ScreenView } from './views.js';

const MOST_HISTORY = 100; // lines that were typed
const MOST_FRESH = 500; // lines between two frames that the views look at
const LAST_WORDS = 12; // lines of stderr that are shown when it has ended
const REST = 100; // milliseconds between the frames of a flood
const SILENT = 5; // seconds after which silence is mentioned

const $ = (id) => document.getElementById(id);
const facts = JSON.parse(document.body.dataset.facts);
const name = document.title;
const count = (number, word) => `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;

// Only what has changed is written: each write of a status is read out.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function press(button, on) {
  button.setAttribute('aria-pressed', String(on));
}

function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

// What scrolls can be scrolled with the keyboard.
for (const each of document.querySelectorAll('.panel, #lines, #last')) each.tabIndex = 0;

// ---- What is shown.

const view = $('lines');
const lines = new Lines(view, () => schedule());
const views = {
  number: new NumberView($('number')),
  fields: new FieldsView($('fields')),
  screen: new ScreenView($('screen')),
};
const LABELS = { number: 'Number', fields: 'Fields', screen: 'Screen', lines: 'Lines' };
let shown = 'lines';
let isChosen = false; // by the viewer: then the page does not change it
let paused = false;
let total = 0; // lines of stdout
let stderrTotal = 0;
let fresh = []; // those that the views have not seen
let inRow = 0; // numbers in a row
let misses = 0;

function show(which) {
  shown = which;
  document.body.dataset.view = which;
  for (const [key, each] of Object.entries(views)) each.root.hidden = key !== which;
  for (const radio of $('choice').querySelectorAll('input')) radio.checked = radio.value === which;
  if (lines.following) lines.bottom();
  schedule();
}

// From now on this view is offered, and taken unless the viewer has chosen another.
function offer(which, take = true) {
  const choice = $('choice');
  if (!choice.querySelector(`[value=${which}]`)) {
    for (const each of choice.hidden ? [which, 'lines'] : [which]) {
      const label = document.createElement('label');
      const radio = document.createElement('input');
      const text = document.createElement('span');
      Object.assign(radio, { type: 'radio', name: 'view', value: each, checked: each === shown });
      radio.onchange = () => {
        isChosen = true;
        show(each);
      };
      text.textContent = LABELS[each];
      label.append(radio, text);
      choice.append(label);
    }
    choice.hidden = false;
  }
  if (take && !isChosen && shown !== which) show(which);
}

function look({ text, time }) {
  const parts = screenParts(text);
  if (parts !== undefined) {
    parts.forEach((part, at) => {
      if (at > 0) views.screen.begin(performance.now());
      if (part !== '' || at === parts.length - 1) views.screen.add(part);
    });
    offer('screen');
    return;
  }
  if (views.screen.count > 0) {
    views.screen.add(text);
    return;
  }
  const plain = text.includes('\x1b')
    ? parseLine(text)
        .runs.map((run) => run.text)
        .join('')
    : text;
  const number = numberIn(plain);
  if (number !== undefined) {
    views.number.add(number, time.getTime());
    misses = 0;
    // Two in a row, and nothing else before: a log may have a line with a number.
    if (++inRow >= 2 && inRow >= total - 3 - fresh.length) offer('number');
    return;
  }
  inRow = 0;
  const object = objectIn(plain);
  if (object !== undefined) {
    views.fields.add(object, time.getTime());
    misses = 0;
    offer('fields', !isLogLine(object));
  } else if (++misses === 20 && !isChosen && shown !== 'lines') show('lines');
}

function take(text, kind) {
  const time = new Date();
  if (kind === '') {
    total++;
    fresh.push({ text, time });
    if (fresh.length > 2 * MOST_FRESH) fresh.splice(0, fresh.length - MOST_FRESH);
  }
  if (kind === 'stderr') stderrTotal++;
  lines.add({ number: kind === '' ? total : 0, time, text, kind });
  schedule();
}

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  // A page in the background gets no frames.
  if (document.hidden) setTimeout(frame, 250);
  else if (lines.isBusy) setTimeout(() => requestAnimationFrame(frame), REST);
  else requestAnimationFrame(frame);
}

let drawn = 0;
function frame() {
  scheduled = false;
  if (!paused) {
    for (const each of fresh.splice(0)) look(each);
    if (lines.following && lines.flush()) schedule();
    draw();
  }
  words();
}

// Charts ten times a second at most.
function draw() {
  const each = views[shown];
  if (each === undefined) return;
  const now = performance.now();
  if (now - drawn < 100) {
    setTimeout(schedule, 100);
    return;
  }
  drawn = now;
  if (each.draw(headingAt)) setTimeout(schedule, 100);
}

// Which row of a screen names the columns of those below.
function headingAt(texts) {
  return texts.findIndex(
    (text, at) => at + 1 < texts.length && !isGroupHeading(text) && isHeading(text, texts[at + 1]),
  );
}

// ---- What is said about it.

function words() {
  const waits = Math.min(lines.waiting.length, MOST_LINES);
  const more = lines.waiting.length > waits || lines.droppedNow > 0 ? '+' : '';
  const holds = !lines.following || paused;
  $('newest').hidden = !holds;
  write(
    $('newest'),
    waits === 0 ? (paused ? 'Resume' : 'Newest \u2193') : `${waits.toLocaleString('en')}${more} new \u2193`,
  );
  write(
    $('total'),
    `${count(total, 'line')}${stderrTotal > 0 ? ` \u00b7 ${stderrTotal.toLocaleString('en')} on stderr` : ''}`,
  );
  // Beside a screen stands only what is said beside it.
  $('log').hidden = shown === 'screen' && !view.querySelector('.stderr:not(.rest), .sent, .note');
  write($('dropped'), lines.dropped + missed > 0 ? `${(lines.dropped + missed).toLocaleString('en')} not shown` : '');
  verdict();
}

let missed = 0; // messages that the gateway says did not come
let before = 0;
function everySecond() {
  write($('rate'), total === before ? '' : `${(total - before).toLocaleString('en')}/s`);
  before = total;
  const isOpen = stream.state === 'open';
  const quiet = Math.floor((Date.now() - Math.max(lastLine, openedAt)) / 1000);
  write($('silence'), isOpen && lastLine > 0 && quiet >= SILENT ? `nothing for ${duration(quiet * 1000)}` : '');
  write($('empty'), lastLine > 0 || !isOpen || paused ? '' : silence(quiet));
}

function silence(seconds) {
  if (seconds < 1) return 'Nothing yet.';
  const said = `Nothing yet for ${duration(seconds * 1000)}. The program runs${facts.input ? ', and may wait for a line from you' : ''}.`;
  if (seconds < SILENT || facts.unbuffered) return said;
  return `${said}\nMany programs hold their output back when it goes to a pipe. The option --unbuffer of runnel run makes them send each line at once.`;
}

// ---- The connection.

let stream;
let openedAt = 0;
let lastLine = 0;
let isShared = false;
let wasOpen = false;
let lastWords = []; // of stderr
let why = '';
let ending;
let retryAt = 0;

function become(kind, text) {
  document.body.className = paused && kind === 'live' ? 'paused' : kind;
  const said = paused && kind === 'live' ? 'paused' : text;
  write($('state'), said);
  document.title = said === 'live' ? name : `(${said}) ${name}`;
}

function tellState() {
  if (ending !== undefined) become(ending.isGood ? 'ended' : 'failed', ending.short);
  else if (stream.state === 'open') become('live', 'live');
  else if (stream.state === 'waiting') become('lost', wasOpen ? 'lost, trying again' : 'no connection, trying again');
  else if (stream.state === 'closed') become('refused', 'closed');
  else become(retryAt ? 'lost' : 'connecting', 'connecting');
}

const MEANING = {
  'exit 126': 'A command could not be executed.',
  'exit 127': 'A command was not found.',
  'signal SIGSEGV': 'It crashed.',
  'signal SIGABRT': 'It gave up by itself (abort).',
  'signal SIGKILL': 'It was killed; a system that runs out of memory does that, too.',
  'signal SIGXCPU': 'It used up the processor time that it may have.',
};

function showEnding(title, about, last) {
  const card = $('ending');
  card.hidden = false;
  card.setAttribute('aria-label', title);
  write(card.querySelector('h2'), title);
  write(card.querySelector('.about'), about);
  const pre = $('last');
  pre.hidden = last.length === 0;
  pre.replaceChildren();
  let style = PLAIN;
  for (const line of last) {
    const element = document.createElement('div');
    style = fill(element, line, style).style;
    pre.append(element);
  }
  pre.scrollTop = pre.scrollHeight;
  if (lines.following) lines.bottom();
}

function ended({ code, reason }) {
  const isProgram = /^(exit|signal) /.test(reason);
  const isGood = code === 1000;
  ending = { isGood, short: reason ? `ended: ${reason}` : 'ended' };
  lines.partials = { out: '', stderr: '' };
  take(`the program has ended: ${reason || (isGood ? 'well' : 'failed')}`, 'note');
  const ran = `It ran for ${duration(Date.now() - openedAt)} and printed ${count(total - totalAtStart, 'line')}.`;
  const meaning = MEANING[reason] ?? '';
  const last = isGood ? [] : lastWords;
  const about = [
    meaning,
    ran,
    last.length > 0 ? 'Its last words on stderr:' : isGood ? '' : 'It said nothing on stderr.',
  ];
  const title = isProgram
    ? isGood
      ? 'The program has ended well'
      : `The program has ended: ${reason}`
    : `The stream has ended${reason ? `: ${reason}` : ''}`;
  showEnding(title, about.filter(Boolean).join(' '), last);
  write($('again'), 'Start again');
}

const REFUSALS = {
  401: 'It wants a password.',
  403: 'It does not let this page in.',
  421: 'It is not known under the name in the address bar.',
  429: 'Too many attempts.',
  502: 'The program cannot be started. The log of runnel says why.',
  503: 'There is no room for another viewer now, or the program is being restarted.',
};

// A browser does not tell why a WebSocket was refused: a plain request does.
async function askWhy() {
  try {
    const stop = new AbortController();
    const answer = await fetch(location.href, {
      headers: { Accept: 'text/event-stream' },
      signal: stop.signal,
      cache: 'no-store',
    });
    why = answer.ok ? '' : (REFUSALS[answer.status] ?? `It answers with status ${answer.status}.`);
    stop.abort();
  } catch {
    why = 'It does not answer: it has stopped, or the network is away.';
  }
}

function lostWords() {
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  showEnding(
    wasOpen ? 'The connection is lost' : 'There is no connection',
    `${why ? `${why} ` : ''}${seconds > 0 ? `Next attempt in ${seconds} s.` : 'Trying now.'}`,
    [],
  );
  write($('again'), 'Try now');
}

let totalAtStart = 0;
// An unshared stream cannot be polled: each request would be a program of its own.
const transports = facts.shared ? ['websocket', 'events', 'poll'] : ['websocket', 'events'];
const feed = new Worker(URL.createObjectURL(new Blob([$('feed').textContent], { type: 'text/javascript' })));
const on = {
  message(data) {
    lastLine = Date.now();
    take(lines.behindPrompt('out', data, true), '');
  },
  stderr(data) {
    lastLine = Date.now();
    if (lastWords.push(data) > LAST_WORDS) lastWords.shift();
    take(lines.behindPrompt('stderr', data, true), 'stderr');
  },
  partial: (data) => showPartial(data, 'out'),
  'partial-stderr': (data) => showPartial(data, 'stderr'),
  notice: (data) => take(data, 'note'),
  missed(number) {
    missed += number ?? 0;
    take(
      number === null
        ? 'some lines did not come'
        : `${count(number, 'line')} did not come: this page is too slow for them`,
      'note',
    );
  },
  dropped(number) {
    total += number;
    lines.drop(number);
    schedule();
  },
  unsent: () => take('not sent: the connection is not open', 'note'),
  open(told) {
    isShared = told.client !== undefined;
    if (wasOpen) take(isShared ? 'connected again' : 'connected again: this is a new run of the program', 'note');
    wasOpen = true;
    openedAt = Date.now();
    lastLine = 0;
    totalAtStart = total;
    retryAt = 0;
    why = '';
    lastWords = [];
    $('ending').hidden = true;
  },
  end: ended,
  state({ state, reason, delay }) {
    stream = { state };
    if (ending === undefined && state === 'waiting') waitFor(reason, delay);
    else if (ending === undefined && state === 'closed') showEnding('The stream is closed', reason, []);
    tellState();
  },
};
feed.onmessage = ({ data }) => {
  for (const [kind, what] of data) on[kind](what);
  // The next portion when this one is on its way to the screen: a page in the background gets no frames.
  if (document.hidden || data.length > MANY) setTimeout(next, REST);
  else requestAnimationFrame(next);
};
const next = () => feed.postMessage({ next: true });

function waitFor(reason, delay) {
  const isPlain = !reason || reason === 'lost' || reason === 'no answer';
  if (retryAt === 0) {
    if (wasOpen) take(`the connection is lost${isPlain ? '' : `: ${reason}`}`, 'note');
    why = isPlain ? '' : `${reason[0].toUpperCase()}${reason.slice(1)}.`;
  }
  retryAt = Date.now() + delay;
  lines.partials = { out: '', stderr: '' };
  askWhy().then(() => stream.state === 'waiting' && lostWords());
  lostWords();
}

function connect() {
  ending = undefined;
  lastWords = [];
  why = '';
  retryAt = 0;
  lines.styles = { out: PLAIN, stderr: PLAIN };
  totalAtStart = total;
  stream = { state: 'connecting' };
  feed.postMessage({ follow: { url: location.href, options: { transports, maxDelay: 15000 } } });
  tellState();
}
addEventListener('online', () => stream.state === 'waiting' && connect());

function showPartial(text, which) {
  lastLine = Date.now();
  lines.partials[which] = lines.behindPrompt(which, text, false);
  schedule();
}

$('again').onclick = () => {
  wasOpen = false;
  $('ending').hidden = true;
  connect();
};

// ---- The buttons.

function setPaused(on) {
  paused = on;
  press($('pause'), on);
  write($('pause'), on ? 'Resume' : 'Pause');
  tellState();
  schedule();
}
$('pause').onclick = () => setPaused(!paused);
$('newest').onclick = () => {
  lines.following = true;
  setPaused(false);
  lines.bottom();
};
for (const [id, style] of [
  ['wrap', 'wrap'],
  ['numbers', 'numbers'],
  ['times', 'times'],
])
  $(id).onclick = () => {
    press($(id), view.classList.toggle(style));
    if (lines.following) lines.bottom();
  };
$('clear').onclick = () => {
  lines.clear();
  missed = 0;
  fresh = [];
  schedule();
};
function openMenu(on) {
  $('menu').classList.toggle('open', on);
  $('more').setAttribute('aria-expanded', String(on));
}
$('more').onclick = () => openMenu(!$('menu').classList.contains('open'));
document.addEventListener('click', (event) => {
  if (!event.target.closest('#menu, #more')) openMenu(false);
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !$('menu').classList.contains('open')) return;
  openMenu(false);
  $('more').focus();
});

let broken = '';
$('filter').oninput = () => {
  const wanted = $('filter').value;
  const pattern = /^\/(.+)\/(i?)$/.exec(wanted);
  broken = '';
  let matches;
  if (pattern) {
    try {
      const expression = new RegExp(pattern[1], pattern[2]);
      matches = (text) => expression.test(text);
    } catch (error) {
      broken = error.message.replace(/^Invalid regular expression: (\/.*\/\w*: )?/, '');
    }
  } else if (wanted !== '') matches = (text) => text.toLowerCase().includes(wanted.toLowerCase());
  $('filter').setAttribute('aria-invalid', String(broken !== ''));
  lines.filter(matches);
  verdict();
};
// The lines are what a filter is about.
$('filter').onfocus = () => {
  if (shown === 'screen') show('lines');
};

function verdict() {
  const element = $('verdict');
  const wanted = $('filter').value;
  element.hidden = wanted === '';
  element.classList.toggle('bad', broken !== '');
  if (wanted === '') return;
  const found = lines.found;
  if (broken) write(element, `Not a pattern: ${broken}. All lines are shown.`);
  else if (found === 0) write(element, `No line matches, of ${lines.kept.length.toLocaleString('en')} that are kept`);
  else write(element, `${count(found, 'line')} of ${lines.kept.length.toLocaleString('en')}`);
}

const shownText = () => (shown === 'screen' ? views.screen.text : lines.text);

function say(word) {
  const button = $('copy');
  write(button, word);
  setTimeout(() => write(button, 'Copy'), 1500);
}
$('copy').onclick = async () => {
  const text = shownText();
  try {
    await navigator.clipboard.writeText(text);
    say('Copied');
  } catch {
    // Without https there is only the older way.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    say(document.execCommand('copy') ? 'Copied' : 'No access');
    area.remove();
    $('copy').focus();
  }
};
$('save').onclick = () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([shownText()], { type: 'text/plain' }));
  link.download = `${name.replace(/[^\w.-]+/g, '-').slice(0, 60)}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

// ---- The input line.

const typed = [];
let at = 0;
$('form').hidden = !facts.input;
write(
  $('access'),
  facts.input
    ? `keeps ${MOST_LINES.toLocaleString('en')} lines`
    : `read-only \u00b7 keeps ${MOST_LINES.toLocaleString('en')} lines`,
);
$('form').onsubmit = (event) => {
  event.preventDefault();
  const text = $('input').value;
  if (stream.state !== 'open') return take('not sent: the program is not running, or not connected', 'note');
  feed.postMessage({ send: text });
  lines.following = true;
  take(lines.answer(text), 'sent');
  if (text && text !== typed[typed.length - 1]) typed.push(text);
  if (typed.length > MOST_HISTORY) typed.shift();
  at = typed.length;
  $('input').value = '';
};
$('input').onkeydown = (event) => {
  const step = event.key === 'ArrowUp' ? -1 : event.key === 'ArrowDown' ? 1 : 0;
  if (step === 0) return;
  event.preventDefault();
  at = Math.min(typed.length, Math.max(0, at + step));
  $('input').value = typed[at] || '';
};

connect();
setInterval(() => {
  everySecond();
  if (stream.state === 'waiting') lostWords();
}, 1000);
