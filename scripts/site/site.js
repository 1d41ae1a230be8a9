// Search and the buttons that copy code. Without this script a page has everything else.
(() => {
  const own = document.currentScript;
  const root = own.dataset.index.slice(0, -'search-index.js'.length);
  const box = document.querySelector('.search');
  const input = document.querySelector('#search');
  const results = box.querySelector('.results');
  const list = results.querySelector('ul');
  const MOST = 20;

  // ---- the index, loaded on the first use ----

  let index;
  let loading;
  function load() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = own.dataset.index;
      script.onload = () => {
        index = window.searchIndex.map(([href, title, heading, text]) => ({
          href,
          title,
          heading,
          text,
          lower: [title, heading, text].map((each) => each.toLowerCase()),
        }));
        resolve();
      };
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  }

  // ---- looking ----

  // Every word must be there. A word in a heading counts more than one in the text, and a whole word more than a part of one.
  function points(section, words) {
    let sum = 0;
    for (const word of words) {
      const [title, heading, text] = section.lower;
      const found = 12 * weight(heading, word) + 6 * weight(title, word) + weight(text, word);
      if (found === 0) return 0;
      sum += found;
    }
    return section.heading === '' ? sum * 1.2 : sum;
  }
  function weight(text, word) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    const isPart = /[\p{L}\p{N}]/u;
    const begins = at === 0 || !isPart.test(text[at - 1]);
    const ends = at + word.length === text.length || !isPart.test(text[at + word.length]);
    return 1 + begins + (begins && ends);
  }

  // Text with the words marked, as nodes: nothing of it is read as HTML.
  function marked(text, words) {
    const expression = new RegExp(`(${words.map((word) => word.replace(/[^\p{L}\p{N}]/gu, '\\$&')).join('|')})`, 'giu');
    return text.split(expression).map((part, at) => {
      if (at % 2 === 0) return part;
      const mark = document.createElement('mark');
      mark.textContent = part;
      return mark;
    });
  }
  function excerpt({ text, lower }, words) {
    const at = Math.max(0, Math.min(...words.map((word) => lower[2].indexOf(word)).filter((each) => each >= 0)));
    const start = !Number.isFinite(at) || at < 50 ? 0 : text.indexOf(' ', at - 40) + 1;
    return `${start > 0 ? '… ' : ''}${text.slice(start, start + 150)}${text.length > start + 150 ? ' …' : ''}`;
  }

  async function look() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.hidden = words.length === 0;
    if (words.length === 0) return;
    try {
      await load();
    } catch {
      results.querySelector('.count').textContent = 'The search index could not be loaded.';
      return;
    }
    const found = index
      .map((section) => ({ section, sum: points(section, words) }))
      .filter(({ sum }) => sum > 0)
      .sort((one, other) => other.sum - one.sum);
    const many = found.length > MOST ? `The best ${MOST} of ${found.length} results` : `${found.length} results`;
    results.querySelector('.count').textContent =
      found.length === 0 ? 'Nothing found' : found.length === 1 ? '1 result' : many;
    list.replaceChildren(
      ...found.slice(0, MOST).map(({ section }) => {
        const link = document.createElement('a');
        link.href = root + section.href;
        const title = document.createElement('strong');
        title.append(...marked(section.heading || section.title, words));
        const where = document.createElement('span');
        where.append(section.heading ? `${section.title} · ` : '', ...marked(excerpt(section, words), words));
        link.append(title, where);
        const item = document.createElement('li');
        item.append(link);
        return item;
      }),
    );
  }

  const close = () => {
    results.hidden = true;
  };
  box.hidden = false;
  input.addEventListener('focus', () => load().catch(() => undefined));
  input.addEventListener('input', look);
  document.addEventListener('click', (event) => box.contains(event.target) || close());
  box.addEventListener('focusout', (event) => event.relatedTarget && !box.contains(event.relatedTarget) && close());
  list.addEventListener('click', close);
  document.addEventListener('keydown', (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
  box.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    if (event.key === 'Escape') {
      close();
      input.focus();
    } else if (event.key === 'Enter' && at < 0 && links.length > 0 && !results.hidden) links[0].click();
    else if (event.key === 'ArrowDown' && links.length > 0) links[Math.min(at + 1, links.length - 1)].focus();
    else if (event.key === 'ArrowUp' && at >= 0) (links[at - 1] ?? input).focus();
    else return;
    event.preventDefault();
  });

  // The place in the navigation, where that is longer than the screen.
  const here = document.querySelector('#pages [aria-current]');
  const pages = document.querySelector('#pages');
  if (here !== null && here.offsetTop > pages.clientHeight - 80)
    pages.scrollTop = here.offsetTop - pages.clientHeight / 2;

  // ---- code ----

  for (const code of document.querySelectorAll('pre > code')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = 'Copied';
      } catch {
        // Over plain HTTP a page may not write to the clipboard: the text is selected, so that Ctrl+C copies it.
        getSelection().selectAllChildren(code);
        button.textContent = 'Selected';
      }
      button.classList.add('done');
      setTimeout(() => {
        button.textContent = 'Copy';
        button.classList.remove('done');
      }, 1500);
    });
    code.parentElement.append(button);
  }
  // What scrolls must be reachable by keyboard.
  for (const each of document.querySelectorAll('pre > code'))
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
  for (const each of document.querySelectorAll('.table'))
    if (each.scrollWidth <= each.clientWidth) each.removeAttribute('tabindex');
})();
