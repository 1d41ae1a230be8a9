// Elements, and lists of them that are kept while what they show changes: focus and selection stay where they are.
import { visible } from './words.js';

/** @param attributes `class`, `onclick` … */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'onclick') made.addEventListener('click', value);
    else made.setAttribute(key, value);
  }
  made.append(...children.map((child) => (typeof child === 'string' ? visible(child) : child)));
  return made;
}

/** Only where it differs: a screen reader tells what is set. */
export function setText(target, text) {
  const shown = visible(text);
  if (target.textContent !== shown) target.textContent = shown;
}

export function show(target, isShown) {
  if (target.hidden === isShown) target.hidden = !isShown;
}

/**
 * A list whose items have names. `make(item)` gives `{root, update(item)}`.
 * @returns what shows these items, in their order
 */
export function keyed(parent, nameOf, make) {
  const rows = new Map();
  return (items) => {
    const names = new Set(items.map(nameOf));
    for (const [name, { root }] of rows) {
      if (names.has(name)) continue;
      root.remove();
      rows.delete(name);
    }
    let before = parent.firstElementChild;
    for (const item of items) {
      const name = nameOf(item);
      let row = rows.get(name);
      if (row === undefined) {
        row = make(item);
        rows.set(name, row);
      }
      row.update(item);
      if (row.root === before) before = before.nextElementSibling;
      else parent.insertBefore(row.root, before);
    }
  };
}

/**
 * A table that is rows of a phone's width where there is no room: the roles say that it is one all the same.
 * @param columns `[title, text(item), class]`
 * @param actions buttons of an item
 */
export function grid(table, caption, columns, nameOf, actions) {
  table.setAttribute('role', 'table');
  table.append(element('caption', { class: 'sr' }, caption));
  const titles = [...columns.map(([title]) => title), ...(actions === undefined ? [] : ['Actions'])];
  const head = element('tr', { role: 'row' });
  for (const title of titles) head.append(element('th', { role: 'columnheader', scope: 'col' }, title));
  const body = element('tbody', { role: 'rowgroup' });
  table.append(element('thead', { role: 'rowgroup' }, head), body);
  return keyed(body, nameOf, (item) => {
    const root = element('tr', { role: 'row' });
    const cells = columns.map(([title, , kind = ''], at) => {
      const cell = element(at === 0 ? 'th' : 'td', { class: kind, 'data-title': title });
      if (at === 0) cell.setAttribute('scope', 'row');
      cell.setAttribute('role', at === 0 ? 'rowheader' : 'cell');
      root.append(cell);
      return cell;
    });
    if (actions !== undefined) root.append(element('td', { role: 'cell', class: 'actions' }, ...actions(item)));
    return {
      root,
      update(now) {
        for (const [at, [, text]] of columns.entries()) {
          const shown = text(now);
          setText(cells[at], shown);
          cells[at].classList.toggle('empty', shown === '' || shown === '0');
        }
      },
    };
  });
}

/** Facts of a card: a name and a text each; those without a text are left out. */
export function facts() {
  const root = element('dl');
  const rows = new Map();
  return {
    root,
    set(name, text, kind = '') {
      let row = rows.get(name);
      if (row === undefined) {
        const value = element('dd', kind === '' ? {} : { class: kind });
        row = { box: element('div', {}, element('dt', {}, name), value), value };
        rows.set(name, row);
        root.append(row.box);
      }
      setText(row.value, text);
      show(row.box, text !== '');
    },
  };
}
