// One side of the comparison: its figures, its charts, and what it has cost so far.

import { Chart } from './chart.js';
import { formatBytes, formatMemory, formatRate, reading } from './reading.js';

/** The age at which the bar is full. */
const FULL_BAR_MS = 4000;
const CHARTS = ['cpu', 'load', 'memory', 'net'];
/** The uptime goes back by more than this only where the machine was restarted. */
const RESTART_MS = 60_000;
/** More bars than this are too thin to be seen. */
const MOST_CORES = 24;

export class Side {
  /**
   * `options`: `kind` ("live" or "polled": the name of its colours), `title`, `way`, `flowing`, `liveWord` (for when all is well), `pause`
   * (how many ms may lie between two samples before the line between them is broken).
   */
  constructor(template, clock, options) {
    this.clock = clock;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.classList.add(options.kind);
    this.parts = new Map();
    for (const name of PARTS) this.parts.set(name, this.element.querySelector(`[data-${name}]`));
    this.set('title', options.title);
    this.set('way', options.way);
    this.charts = new Map();
    for (const name of CHARTS) {
      this.charts.set(name, new Chart(this.element.querySelector(`[data-chart=${name}]`), options.flowing));
    }
    this.flowing = options.flowing;
    this.liveWord = options.liveWord;
    this.pause = options.pause;
    this.sample = null;
    this.shown = null;
    this.costs = { readings: 0, requests: 0, programs: 0, bytes: 0 };
    this.aged = { sum: 0, time: 0, last: 0 };
  }

  part(name) {
    return this.parts.get(name);
  }

  /** Writes only what has changed: the age alone changes ten times a second. */
  set(name, text) {
    const part = this.part(name);
    if (part.textContent !== text) part.textContent = text;
  }

  state(state, detail) {
    this.element.querySelector('.badge').dataset.state = state;
    this.set('badge', state === 'live' ? this.liveWord : state);
    this.set('detail', detail);
    this.part('detail').title = detail;
    this.part('again').hidden = state !== 'ended';
    this.element.classList.toggle('stale', state === 'reconnecting' || state === 'ended');
  }

  count(name, amount = 1) {
    this.costs[name] += amount;
    this.set(name, name === 'bytes' ? formatBytes(this.costs.bytes) : this.costs[name].toLocaleString('en'));
    if (this.costs.readings > 0) this.set('each', formatBytes(this.costs.bytes / this.costs.readings));
  }

  /** One line has arrived, at `now`. Returns the sample. */
  take(text, now) {
    const sample = JSON.parse(text);
    this.clock.observe(sample.uptime, now);
    const since = this.sample === null ? 0 : 1000 * (sample.uptime - this.sample.uptime);
    // The machine was restarted, or there was an outage. What was measured before it is not joined with this.
    if (since < -RESTART_MS) this.restart();
    else if (since > this.pause) this.gap();
    this.shown = reading(this.sample, sample);
    this.sample = sample;
    this.count('readings');
    this.figures(this.shown);
    const time = 1000 * sample.uptime;
    this.charts.get('cpu').add(time, this.shown.cpu);
    this.charts.get('load').add(time, this.shown.load[0]);
    this.charts.get('memory').add(time, this.shown.memory.used);
    this.charts.get('net').add(time, this.shown.received);
    return sample;
  }

  /** Learns the machine's time from a line that is to be taken later. */
  meet(text, now) {
    try {
      this.clock.observe(JSON.parse(text).uptime, now);
    } catch {
      // `take` will tell.
    }
  }

  /** Something is missing: what comes next must not be joined with the last sample, by a line or in a rate. */
  gap() {
    if (this.sample === null) return;
    for (const chart of this.charts.values()) chart.add(1000 * this.sample.uptime, null);
    this.sample = null;
  }

  restart() {
    for (const chart of this.charts.values()) chart.clear();
    this.sample = null;
  }

  figures(shown) {
    const { total, used } = shown.memory;
    const [amount, unit] = formatMemory(used);
    this.set('load', shown.load[0].toFixed(2));
    this.set('load-under', `${shown.load[1].toFixed(2)} over 5 min`);
    this.set('memory', amount);
    this.set('memory-unit', ` ${unit}`);
    this.set('memory-under', `of ${formatMemory(total).join(' ')}, ${((100 * used) / total).toFixed(0)} %`);
    if (shown.cpu === null) return;
    const heat = shown.temperature === null ? '' : `, ${shown.temperature.toFixed(0)} °C`;
    this.set('cpu', (100 * shown.cpu).toFixed(0));
    this.set('cpu-under', `${shown.coreCount} ${shown.coreCount === 1 ? 'core' : 'cores'}${heat}`);
    this.bars(shown.cores);
    const [received, receivedUnit] = formatRate(shown.received);
    this.set('net', received);
    this.set('net-unit', ` ${receivedUnit}`);
    this.set('net-under', `sent ${formatRate(shown.sent).join(' ')}`);
  }

  bars(cores) {
    const holder = this.part('cores');
    const count = cores.length > MOST_CORES ? 0 : cores.length;
    while (holder.children.length > count) holder.lastChild.remove();
    while (holder.children.length < count) holder.append(document.createElement('i'));
    for (let core = 0; core < count; core++) {
      holder.children[core].style.transform = `scaleY(${Math.max(0.04, cores[core])})`;
    }
  }

  /** The age, at `now`; called several times a second. The average is over time, not over readings: it is what one looks at. */
  age(now) {
    if (this.shown === null) return;
    const age = this.clock.age(this.shown.uptime, now);
    this.set('age', (age / 1000).toFixed(1));
    this.part('age-bar').style.transform = `scaleX(${Math.min(1, age / FULL_BAR_MS)})`;
    const span = this.aged.last === 0 ? 0 : now - this.aged.last;
    this.aged.sum += age * span;
    this.aged.time += span;
    this.aged.last = now;
    if (this.aged.time > 0) this.set('average', `${(this.aged.sum / this.aged.time / 1000).toFixed(2)} s`);
  }

  /** The way has changed: the average starts again. */
  forgetAges() {
    this.aged = { sum: 0, time: 0, last: 0 };
  }

  /** `tops`: the upper edge of each chart, the same on both sides. */
  draw(now, tops) {
    const time = this.clock.machineTime(now);
    for (const name of CHARTS) this.charts.get(name).draw(time, tops[name]);
  }

  /** Takes the colours from the style sheet; again when the scheme changes. */
  recolor() {
    const style = getComputedStyle(this.element);
    const colors = {
      line: style.getPropertyValue('--ink').trim(),
      fill: style.getPropertyValue('--wash').trim(),
      grid: style.getPropertyValue('--grid').trim(),
    };
    for (const chart of this.charts.values()) {
      chart.colors = colors;
      chart.draw(chart.drawnAt);
    }
  }
}

/** The elements of the template that are filled in, by their data attribute. */
const PARTS = [
  'title',
  'way',
  'pace',
  'badge',
  'detail',
  'again',
  'age',
  'age-bar',
  'average',
  'cores',
  'cpu',
  'cpu-under',
  'load',
  'load-under',
  'memory',
  'memory-unit',
  'memory-under',
  'net',
  'net-unit',
  'net-under',
  'readings',
  'requests',
  'programs',
  'bytes',
  'each',
];
