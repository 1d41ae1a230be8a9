// A small chart of the last half minute on a canvas.

export const WINDOW_MS = 30_000;
/** A flowing chart is drawn this much late, so that its newest stretch has both its ends and the line never jumps. */
const LAG_MS = 700;

/**
 * `flowing`: moves with the time and draws a smooth line. Otherwise it stands still between two samples and draws steps,
 * because between two polls nobody knows.
 */
export class Chart {
  constructor(canvas, flowing) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.flowing = flowing;
    this.points = [];
    this.colors = { line: '#888', fill: '#8888', grid: '#8884' };
    this.top = 1;
    this.width = 0;
    this.height = 0;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  /**
   * A value measured at `time`, in ms of the machine's own clock. The browser's idea of that clock gets better while lines arrive,
   * so a time of the browser would put an early point behind a later one. null breaks the line.
   */
  add(time, value) {
    const last = this.points[this.points.length - 1];
    // What is not newer than the last point would draw the line backwards.
    if (last !== undefined && (time < last.time || (time === last.time && value !== null))) return;
    this.points.push({ time, value });
    // One point from before the window stays, for the line to come from.
    while (this.points.length > 2 && this.points[1].time < time - WINDOW_MS - LAG_MS) this.points.shift();
  }

  /** Forgets everything: the machine's clock has begun again. */
  clear() {
    this.points = [];
  }

  /** The largest value in the window. */
  peak() {
    return this.points.reduce((peak, point) => Math.max(peak, point.value === null ? 0 : point.value), 0);
  }

  fit() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw(this.drawnAt);
  }

  /** Draws with `now`, in ms of the machine's clock, at the right edge. `top` is the value of the upper edge; a flowing chart glides to a new one. */
  draw(now, top = this.top) {
    this.drawnAt = now;
    this.top = this.flowing ? this.top + (top - this.top) * 0.12 : top;
    const { context, width, height } = this;
    context.clearRect(0, 0, width, height);
    this.grid();
    for (const run of this.runs()) this.line(run, now);
  }

  grid() {
    const { context, width, height } = this;
    context.strokeStyle = this.colors.grid;
    context.lineWidth = 1;
    context.beginPath();
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(share * (height - 1)) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
  }

  /** The points, cut where the line is broken. */
  runs() {
    const runs = [[]];
    for (const point of this.points) {
      if (point.value === null) runs.push([]);
      else runs[runs.length - 1].push(point);
    }
    return runs.filter((run) => run.length > 0);
  }

  line(run, now) {
    const { context, width, height } = this;
    const right = this.flowing ? now - LAG_MS : now;
    // Room for the line's own width and for the dot at its end.
    const edge = this.flowing ? width : width - 4;
    const x = (point) => edge - ((right - point.time) / WINDOW_MS) * edge;
    const y = (point) => height - 2 - Math.min(1, point.value / this.top) * (height - 4);
    context.beginPath();
    context.moveTo(x(run[0]), y(run[0]));
    for (let index = 1; index < run.length; index++) {
      const from = run[index - 1];
      const to = run[index];
      if (this.flowing) {
        const middle = (x(from) + x(to)) / 2;
        context.bezierCurveTo(middle, y(from), middle, y(to), x(to), y(to));
      } else {
        context.lineTo(x(to), y(from));
        context.lineTo(x(to), y(to));
      }
    }
    context.lineWidth = 2;
    context.lineJoin = 'round';
    context.strokeStyle = this.colors.line;
    context.stroke();
    const last = run[run.length - 1];
    context.lineTo(x(last), height);
    context.lineTo(x(run[0]), height);
    context.closePath();
    context.fillStyle = this.colors.fill;
    context.fill();
    if (!this.flowing) {
      context.beginPath();
      context.arc(x(last), y(last), 3, 0, 2 * Math.PI);
      context.fillStyle = this.colors.line;
      context.fill();
    }
  }
}
