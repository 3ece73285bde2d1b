// Small helps for making elements, and the one way to ask the server for something.
export const $ = (id) => document.getElementById(id);

export function make(tag, fields = {}, ...children) {
  const e = Object.assign(document.createElement(tag), fields);
  e.append(...children);
  return e;
}

// keyed brings a list's children in line with items, and touches only those that changed.
export function keyed(list, items, key, build) {
  const old = new Map([...list.children].map((e) => [e.dataset.key, e]));
  const wanted = new Set(items.map((item) => String(key(item))));
  for (const [id, e] of old) if (!wanted.has(id)) e.remove();
  let at = list.firstElementChild;
  for (const item of items) {
    const id = String(key(item));
    const print = JSON.stringify(item);
    let e = old.get(id);
    if (!e || prints.get(e) !== print) {
      const next = build(item);
      next.dataset.key = id;
      prints.set(next, print);
      if (e) {
        const focused = e.contains(document.activeElement);
        if (at === e) at = next;
        e.replaceWith(next);
        if (focused) (next.matches('button') ? next : next.querySelector('button'))?.focus();
      }
      e = next;
    }
    if (at === e) at = at.nextElementSibling;
    else list.insertBefore(e, at);
  }
}

const prints = new WeakMap(); // element → what it was built from

// act asks the server; a refusal is shown in its words.
export async function act(order) {
  try {
    const r = await fetch('page/act', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(order) });
    const body = await r.json();
    if (r.ok) return body;
    toast(body.error);
  } catch {
    toast('The simulator does not answer. Has it ended?');
  }
  return null;
}

export function toast(words) {
  const p = make('p', { textContent: words });
  $('toast').append(p);
  while ($('toast').children.length > 3) $('toast').firstChild.remove();
  setTimeout(() => p.remove(), 6000);
}

// colour is the same for the same name.
export function colour(name) {
  let n = 0;
  for (const c of name) n = (n * 31 + c.codePointAt(0)) >>> 0;
  return `hsl(${n % 360} 45% 42%)`;
}
