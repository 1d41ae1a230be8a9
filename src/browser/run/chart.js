// A number over time, as a small chart.

const BUCKET = 500; // milliseconds
const MOST_BUCKETS = 600;
const SVG = 'http://www.w3.org/2000/svg';

// What was measured, bounded: of each half second the lowest, the highest and the last.
export class Series {
  buckets = [];
  count = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  last = undefined;

  add(value, time) {
    const at = Math.floor(time / BUCKET) * BUCKET;
    const newest = this.buckets[this.buckets.length - 1];
    if (newest?.at === at) {
      newest.min = Math.min(newest.min, value);
      newest.max = Math.max(newest.max, value);
      newest.last = value;
    } else this.buckets.push({ at, min: value, max: value, last: value });
    if (this.buckets.length > MOST_BUCKETS) this.buckets.shift();
    this.count++;
    this.sum += value;
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
    this.last = value;
  }
}

export function short(value) {
  if (!Number.isFinite(value)) return '\u2013';
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return value.toExponential(2);
  return value.toLocaleString('en', { maximumFractionDigits: size >= 1000 ? 0 : size >= 10 ? 2 : 4 });
}

const clockOf = (time) => new Date(time).toTimeString().slice(0, 8);

// Three or four round numbers between the lowest and the highest.
export function ticks(low, high) {
  const range = high - low || Math.abs(high) || 1;
  const raw = range / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw) ?? raw;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step)
    found.push(Number(at.toPrecision(12)));
  return found;
}

function part(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export class Chart {
  constructor(label) {
    this.label = label;
    this.svg = part('svg', { class: 'chart', role: 'img', 'aria-label': label });
    this.pointer = undefined;
    this.svg.onpointermove = (event) => this.point(event.offsetX);
    this.svg.onpointerleave = () => this.point(undefined);
    new ResizeObserver(() => this.series && this.draw(this.series)).observe(this.svg);
  }

  point(x) {
    this.pointer = x;
    if (this.series) this.draw(this.series);
  }

  draw(series) {
    this.series = series;
    const { svg } = this;
    const { width, height } = svg.getBoundingClientRect();
    const { buckets } = series;
    if (width < 60 || height < 40 || buckets.length === 0) return;
    let low = Math.min(...buckets.map(({ min }) => min));
    let high = Math.max(...buckets.map(({ max }) => max));
    if (low === high) [low, high] = [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
    const marks = ticks(low, high);
    const left = 10 + 7 * Math.max(...marks.map((mark) => short(mark).length));
    const right = width - 8;
    const [top, bottom] = [8, height - 20];
    const first = buckets[0].at;
    const span = Math.max(BUCKET, buckets[buckets.length - 1].at - first);
    const x = (at) => left + ((at - first) / span) * (right - left);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    const spot = ({ at }, value) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    const line = `M${buckets.map((one) => spot(one, one.last)).join('L')}`;
    const band = `M${buckets.map((one) => spot(one, one.max)).join('L')}L${buckets
      .map((one) => spot(one, one.min))
      .reverse()
      .join('L')}Z`;
    const parts = marks.flatMap((mark) => [
      part('line', { class: 'grid', x1: left, x2: right, y1: y(mark), y2: y(mark) }),
      part('text', { x: left - 6, y: y(mark) + 4, 'text-anchor': 'end' }, short(mark)),
    ]);
    const area = `${line}L${x(buckets[buckets.length - 1].at).toFixed(1)} ${bottom}L${left} ${bottom}Z`;
    parts.push(
      part('path', { class: 'area', d: area }),
      part('path', { class: 'band', d: band }),
      part('path', { class: 'line', d: line }),
      part('text', { x: left, y: height - 5 }, clockOf(first)),
      part('text', { x: right, y: height - 5, 'text-anchor': 'end' }, clockOf(first + span)),
    );
    const newest = buckets[buckets.length - 1];
    parts.push(part('circle', { class: 'dot', cx: x(newest.at), cy: y(newest.last), r: 3.5 }));
    if (this.pointer !== undefined) {
      const near = buckets.reduce((best, one) =>
        Math.abs(x(one.at) - this.pointer) < Math.abs(x(best.at) - this.pointer) ? one : best,
      );
      const at = x(near.at);
      parts.push(
        part('line', { class: 'cursor', x1: at, x2: at, y1: top, y2: bottom }),
        part(
          'text',
          {
            class: 'reading',
            x: at,
            y: top + 6,
            dx: at > width / 2 ? -6 : 6,
            'text-anchor': at > width / 2 ? 'end' : 'start',
          },
          `${short(near.last)} at ${clockOf(near.at)}`,
        ),
      );
    }
    svg.replaceChildren(...parts);
    svg.setAttribute(
      'aria-label',
      `${this.label}: now ${short(series.last)}, lowest ${short(low)}, highest ${short(high)} since ${clockOf(first)}`,
    );
  }
}
