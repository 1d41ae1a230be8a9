// Small charts of numbers over time.
import { element, setText } from './tables.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [200, 44];

/** A tile with a name, the present value and a line. */
export function tile(name) {
  const value = element('strong', {});
  const more = element('span', { class: 'quiet' });
  const picture = document.createElementNS(SVG, 'svg');
  picture.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute('preserveAspectRatio', 'none');
  picture.setAttribute('aria-hidden', 'true');
  const area = document.createElementNS(SVG, 'path');
  area.setAttribute('class', 'area');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('class', 'line');
  picture.append(area, line);
  const root = element('li', {}, element('span', { class: 'name' }, name), value, picture, more);
  return {
    root,
    /** @param most what the top stands for at least */
    update(text, note, values, most = 0) {
      setText(value, text);
      setText(more, note);
      const top = Math.max(most, ...values, 1e-9) * 1.05;
      const step = WIDTH / Math.max(1, values.length - 1);
      const points = values.map(
        (number, at) => `${(at * step).toFixed(1)} ${(HEIGHT - (number / top) * HEIGHT).toFixed(1)}`,
      );
      line.setAttribute('d', points.length < 2 ? '' : `M${points.join('L')}`);
      area.setAttribute('d', points.length < 2 ? '' : `M0 ${HEIGHT}L${points.join('L')}L${WIDTH} ${HEIGHT}Z`);
    },
  };
}
