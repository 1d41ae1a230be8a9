// What the page makes of output that is more than lines: one number, the fields of JSON objects, a screen that is written anew.
import { Chart, Series, short } from './chart.js';
import { fieldsOf, isMeasured } from './kinds.js';
import { fill } from './lines.js';
import { PLAIN } from './terminal.js';

function make(name, text = '', className = '') {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

export class NumberView {
  series = new Series();

  constructor(root) {
    this.root = root;
    this.label = root.querySelector('.label');
    this.value = root.querySelector('.value');
    this.unit = root.querySelector('.unit');
    this.stats = Object.fromEntries([...root.querySelectorAll('dd')].map((element) => [element.dataset.of, element]));
    this.chart = new Chart('The number over time');
    root.querySelector('.plot').append(this.chart.svg);
  }

  add(found, time) {
    this.newest = found;
    this.series.add(found.value, time);
  }

  draw() {
    const { newest, series, stats } = this;
    if (newest === undefined) return;
    this.label.textContent = newest.label;
    this.label.hidden = newest.label === '';
    this.value.textContent = newest.digits;
    this.value.style.setProperty('--digits', Math.max(4, newest.digits.length + newest.unit.length));
    this.unit.textContent = newest.unit;
    stats.low.textContent = short(series.min);
    stats.mean.textContent = short(series.sum / series.count);
    stats.high.textContent = short(series.max);
    stats.count.textContent = series.count.toLocaleString('en');
    if (newest.label) this.chart.label = newest.label;
    this.chart.draw(series);
  }
}

const MOST_FIELDS = 60;
const MOST_CHARTS = 6;

export class FieldsView {
  rows = new Map(); // path → {element, value, series, box, chart}
  more = 0;
  count = 0;

  constructor(root) {
    this.root = root;
    this.body = root.querySelector('tbody');
    this.charts = root.querySelector('.charts');
    this.note = root.querySelector('.more');
  }

  add(object, time) {
    const { fields, more } = fieldsOf(object, MOST_FIELDS);
    this.more = more;
    this.count++;
    for (const [path, value] of fields) {
      let row = this.rows.get(path);
      if (row === undefined) {
        if (this.rows.size >= MOST_FIELDS) {
          this.more++;
          continue;
        }
        row = this.makeRow(path);
      }
      row.value = value;
      row.seen = this.count;
      if (typeof value !== 'number') continue;
      row.series ??= new Series();
      row.series.add(value, time);
    }
  }

  makeRow(path) {
    const element = make('tr');
    const cells = [make('td', '', 'value'), make('td', '', 'range'), make('td', '', 'pick')];
    const name = make('th', path);
    name.scope = 'row';
    element.append(name, ...cells);
    this.body.append(element);
    const row = { path, element, cells, picked: undefined };
    this.rows.set(path, row);
    return row;
  }

  // The first ones that measure something have a chart until somebody chooses.
  pickFirst(row) {
    const charts = [...this.rows.values()].filter(({ chart }) => chart).length;
    const isWide = this.root.clientWidth > 700;
    if (isMeasured(row.path) && charts < (isWide ? 3 : 1)) this.toggle(row, true);
  }

  toggle(row, on) {
    row.box.checked = on;
    if (on && row.chart === undefined) {
      const figure = make('figure');
      const caption = make('figcaption', row.path);
      const now = make('b');
      caption.append(' ', now);
      row.chart = { figure, now, chart: new Chart(row.path) };
      figure.append(caption, row.chart.chart.svg);
      this.charts.append(figure);
    } else if (!on && row.chart) {
      row.chart.figure.remove();
      row.chart = undefined;
    }
    const full = [...this.rows.values()].filter(({ chart }) => chart).length >= MOST_CHARTS;
    for (const { box } of this.rows.values()) if (box && !box.checked) box.disabled = full;
  }

  draw() {
    for (const row of this.rows.values()) {
      const { element, series } = row;
      const [value, range, pick] = row.cells;
      const text = typeof row.value === 'string' ? row.value : JSON.stringify(row.value);
      const wanted = text.slice(0, 300);
      if (value.textContent !== wanted) value.textContent = wanted;
      element.classList.toggle('number', typeof row.value === 'number');
      element.classList.toggle('gone', row.seen !== this.count);
      if (series === undefined) continue;
      range.textContent = series.min === series.max ? '' : `${short(series.min)} \u2013 ${short(series.max)}`;
      if (row.box === undefined) {
        const label = make('label');
        row.box = make('input');
        row.box.type = 'checkbox';
        row.box.setAttribute('aria-label', `Chart of ${row.path}`);
        row.box.onchange = () => {
          this.toggle(row, row.box.checked);
          this.draw();
        };
        label.append(row.box);
        pick.append(label);
      }
      // A number that has changed once is worth a chart.
      if (row.picked === undefined && series.count > 1 && series.min !== series.max) {
        row.picked = true;
        this.pickFirst(row);
      }
      if (row.chart) {
        row.chart.now.textContent = short(series.last);
        row.chart.chart.draw(series);
      }
    }
    this.charts.hidden = this.charts.childElementCount === 0;
    this.note.hidden = this.more === 0;
    this.note.textContent = `${this.more} more fields are not shown.`;
  }
}

const MOST_ROWS = 1000;
// Milliseconds after which what is left of the screen before is taken away: until then the new one may still be on its way.
const SETTLED = 150;

export class ScreenView {
  rows = []; // lines of this screen
  begun = 0;
  count = 0;
  style = PLAIN;

  constructor(root) {
    this.root = root;
  }

  begin(time) {
    if (this.rows.length === 0 && this.count > 0) return;
    this.rows = [];
    this.begun = time;
    this.count++;
  }

  add(text) {
    if (this.rows.length < MOST_ROWS) this.rows.push(text);
  }

  // True: the rest of the screen before is still shown, and this is to be called again.
  draw(headings) {
    const { root, rows } = this;
    let style = PLAIN;
    const texts = [];
    rows.forEach((line, at) => {
      const element = root.children[at] ?? root.appendChild(make('div'));
      if (element.line !== line) {
        const made = fill(element, line, style);
        element.line = line;
        element.text = made.text;
        element.styleAfter = made.style;
      }
      style = element.styleAfter;
      texts.push(element.text);
    });
    const isSettled = performance.now() - this.begun > SETTLED;
    if (isSettled) while (root.childElementCount > rows.length) root.lastChild.remove();
    const heading = headings(texts);
    for (let at = 0; at < root.childElementCount; at++) {
      root.children[at].classList.toggle('heading', at === heading);
    }
    return !isSettled;
  }

  get text() {
    return [...this.root.children].map(({ text }) => `${text}\n`).join('');
  }
}
