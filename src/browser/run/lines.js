// The lines: kept, filtered, followed. Nothing here grows without a bound, and nothing takes a frame for long.
import { isGroupHeading, isHeading } from './kinds.js';
import { PLAIN, parseLine } from './terminal.js';

export const MOST_LINES = 5000;
const MOST_CHARACTERS = 4e6;
// Lines that are many for one frame: then there are fewer frames, so that clicks come through.
export const MANY = 250;
// Milliseconds of a frame that may go into new lines.
const BUDGET = 10;

export const clock = (time) => `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, '0')}`;

function spanOf({ text, style: { fg, bg, on } }) {
  if (!fg && !bg && !on) return text;
  const element = document.createElement('span');
  const inverse = on.includes('7');
  element.className = [...on].map((code) => `s${code}`).join(' ');
  element.style.color = inverse ? bg || 'var(--paper)' : fg || (bg && 'var(--paper)');
  element.style.background = inverse ? fg || 'var(--text)' : bg;
  element.textContent = text;
  return element;
}

// Fills an element with one line. Gives the text alone, and the style that goes on.
export function fill(element, line, style) {
  const parsed = parseLine(line, style);
  element.replaceChildren(...parsed.runs.map(spanOf));
  return { text: parsed.runs.map((run) => run.text).join(''), style: parsed.style };
}

export class Lines {
  kept = []; // {number, time, text, kind, element}
  waiting = []; // not yet shown: no element, escapes still in the text
  waitingCharacters = 0;
  dropped = 0; // in all
  droppedNow = 0; // and not yet noted
  following = true;
  matches = undefined; // the filter, where there is one
  shownCount = 0; // how many of the kept ones it leaves
  styles = { out: PLAIN, stderr: PLAIN };
  partials = { out: '', stderr: '' };
  prompts = { out: '', stderr: '' };
  heading = []; // the lines that name the columns
  scrolledTo = 0;
  portion = 500;
  isBusy = false;

  // changed: called when the view is left at its end, or comes back to it.
  constructor(view, changed) {
    this.view = view;
    this.changed = changed;
    this.body = document.createElement('div');
    this.rests = { out: document.createElement('div'), stderr: document.createElement('div') };
    this.rests.out.className = 'rest';
    this.rests.stderr.className = 'rest stderr';
    this.rests.out.hidden = this.rests.stderr.hidden = true;
    view.append(this.body, this.rests.stderr, this.rests.out);
    view.addEventListener('scroll', () => this.scrolled());
    new ResizeObserver(() => this.following && this.bottom()).observe(view);
  }

  add(line) {
    this.waiting.push(line);
    this.waitingCharacters += line.text.length;
    if (line.kind === '' || line.kind === 'stderr') this.partials[line.kind || 'out'] = '';
    if (this.waiting.length > 2 * MOST_LINES || this.waitingCharacters > 2 * MOST_CHARACTERS) this.cutWaiting();
  }

  // What was typed, as a terminal shows it: behind the prompt, which is not shown again with what the program says next.
  answer(text) {
    const { out, stderr } = this.partials;
    this.prompts = { out, stderr };
    this.partials = { out: '', stderr: '' };
    const prompt = out || stderr;
    const { runs } = parseLine(prompt);
    return `${runs.map((run) => run.text).join('')}${text}`;
  }

  behindPrompt(stream, text, isWhole) {
    const prompt = this.prompts[stream];
    if (prompt === '') return text;
    if (isWhole || !text.startsWith(prompt)) this.prompts[stream] = '';
    return text.startsWith(prompt) ? text.slice(prompt.length) : text;
  }

  // Takes the oldest lines off until both bounds are kept; gives them back.
  static cut(list) {
    let from = list.length;
    let room = MOST_CHARACTERS;
    while (from > 0 && list.length - from < MOST_LINES && room >= list[from - 1].text.length)
      room -= list[--from].text.length;
    return list.splice(0, from);
  }

  cutWaiting() {
    const cut = Lines.cut(this.waiting).length;
    this.drop(cut);
    this.waitingCharacters = this.waiting.reduce((sum, line) => sum + line.text.length, 0);
  }

  drop(count) {
    this.dropped += count;
    this.droppedNow += count;
  }

  // Shows what waits, as much as a frame bears. True: there is more.
  flush() {
    const started = performance.now();
    this.cutWaiting();
    if (this.droppedNow > 0) {
      const text = `${this.droppedNow.toLocaleString('en')} lines are not shown here: they came too fast`;
      this.waiting.unshift({ number: 0, time: new Date(), text, kind: 'note' });
      this.droppedNow = 0;
    }
    const batch = document.createDocumentFragment();
    const portion = this.waiting.splice(0, this.portion);
    for (const line of portion) batch.append(this.make(line));
    this.kept.push(...portion);
    this.waitingCharacters = Math.max(0, this.waitingCharacters - portion.reduce((sum, line) => sum + line.size, 0));
    this.body.append(batch);
    for (const old of Lines.cut(this.kept)) {
      if (!old.element.hidden) this.shownCount--;
      if (!this.heading.includes(old.element)) old.element.remove();
    }
    this.showRests();
    if (this.following) this.bottom();
    // Layout is a part of it: `bottom` has asked for it.
    const took = performance.now() - started;
    if (portion.length >= this.portion / 2)
      this.portion = Math.round(Math.max(50, Math.min(1000, (this.portion * BUDGET) / Math.max(1, took))));
    this.isBusy = portion.length > MANY || this.waiting.length > 0;
    return this.waiting.length > 0;
  }

  make(line) {
    const element = document.createElement('div');
    line.element = element;
    line.size = line.text.length;
    if (line.kind === '' || line.kind === 'stderr') {
      const stream = line.kind || 'out';
      const { text, style } = fill(element, line.text, this.styles[stream]);
      line.text = text;
      this.styles[stream] = style;
      if (line.kind === '') this.lookForHeading(line);
    } else element.textContent = line.text;
    if (line.number) element.dataset.n = line.number;
    element.dataset.t = clock(line.time);
    if (line.kind) element.classList.add(line.kind);
    element.hidden = !this.passes(line);
    if (!element.hidden) this.shownCount++;
    return element;
  }

  passes({ text, kind }) {
    return this.matches === undefined || kind === 'note' || this.matches(text);
  }

  // A heading stays at the top while its rows go by.
  lookForHeading(line) {
    const [beforeLast, last] = this.lastTwo ?? [];
    this.lastTwo = [last, line];
    if (!last || last.text === this.headingText || !isHeading(last.text, line.text)) return;
    this.headingText = last.text;
    const found = beforeLast && isGroupHeading(beforeLast.text) ? [beforeLast, last] : [last];
    this.heading = found.map(({ element }) => element);
    this.heading.forEach((element, at) => {
      element.classList.add('heading');
      element.style.setProperty('--row', at);
    });
  }

  showRests() {
    for (const stream of ['out', 'stderr']) {
      const element = this.rests[stream];
      const text = this.partials[stream];
      element.hidden = text === '';
      if (text !== '') fill(element, text, this.styles[stream]);
    }
  }

  bottom() {
    this.view.scrollTop = this.view.scrollHeight;
  }

  scrolled() {
    const { view } = this;
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 24;
    // Only going up leaves the end: it also moves away when the view gets smaller.
    const now = atEnd || (this.following && view.scrollTop >= this.scrolledTo);
    this.scrolledTo = view.scrollTop;
    if (now === this.following) return;
    this.following = now;
    this.changed();
  }

  filter(matches) {
    this.matches = matches;
    this.shownCount = 0;
    for (const line of this.kept) {
      line.element.hidden = !this.passes(line);
      if (!line.element.hidden) this.shownCount++;
    }
    if (this.following) this.bottom();
  }

  // How many lines the filter leaves that the program or its viewer wrote.
  get found() {
    return this.kept.reduce((sum, { element, kind }) => sum + (kind !== 'note' && !element.hidden), 0);
  }

  // What the filter leaves, as text.
  get text() {
    return this.kept
      .filter(({ element }) => !element.hidden)
      .map(({ text }) => `${text}\n`)
      .join('');
  }

  clear() {
    this.kept = [];
    this.waiting = [];
    this.waitingCharacters = 0;
    this.dropped = 0;
    this.droppedNow = 0;
    this.shownCount = 0;
    this.heading = [];
    this.headingText = undefined;
    this.lastTwo = undefined;
    this.partials = { out: '', stderr: '' };
    this.body.replaceChildren();
    this.showRests();
    this.following = true;
  }
}
