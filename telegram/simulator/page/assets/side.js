// Beside the chat: what the bot did, what it thinks, and the raid.
import { $, make } from './dom.js';

const most = 200;

export function showCalls({ list, skipped }) {
  const box = $('calls');
  if (skipped) box.prepend(make('li', { className: 'hint', textContent: `… ${skipped} more` }));
  box.prepend(...list.reverse().map(build));
  while (box.children.length > most) box.lastElementChild.remove();
}

function build(c) {
  const ok = c.status === 200;
  const line = make('summary', {},
    make('span', { className: ok ? 'ok' : 'no', textContent: ok ? '✓' : '✗', ariaLabel: ok ? 'done' : 'refused' }),
    make('span', { className: 'method', textContent: c.method }),
    make('span', { className: 'note', textContent: c.error ? c.error : c.note ?? '' }),
    make('span', { className: 'hint', textContent: `${c.took_ms.toFixed(0)} ms` }));
  const more = make('details', {}, line);
  // What is inside is made when somebody looks: a raid brings thousands.
  more.addEventListener('toggle', () => {
    if (!more.open || more.children.length > 1) return;
    more.append(make('pre', { textContent: JSON.stringify(c.params ?? {}, null, 1) }),
      make('pre', { textContent: c.error ? `${c.status} ${c.error}` : JSON.stringify(c.result ?? null, null, 1) }));
  });
  return make('li', {}, more);
}

let asked = 0;

// showThink asks what the bot knows, at most once a second when it is only to be kept fresh.
export async function showThink(chat, fresh = false) {
  if ($('pane-think').hidden || !chat || (fresh && Date.now() - asked < 1000)) return;
  asked = Date.now();
  const r = await fetch(`page/think?chat=${chat}`);
  const body = await r.json();
  $('think').replaceChildren(...(r.ok ? shown(body) : [make('p', { className: 'hint', textContent: body.error })]));
}

// shown turns any object into a list of names and values, objects and lists into sections.
function shown(body) {
  const flat = make('dl');
  const sections = [];
  for (const [key, value] of Object.entries(body)) {
    const name = key.replaceAll('_', ' ');
    if (value && typeof value === 'object') {
      if (Object.keys(value).length) sections.push(make('h3', { textContent: name }), make('pre', { textContent: JSON.stringify(value, null, 1) }));
    } else if (value !== '' && value !== null) {
      flat.append(make('dt', { textContent: name }), make('dd', { textContent: String(value) }));
    }
  }
  return [flat, ...sections];
}

export function showRaid(raid) {
  $('raid').disabled = raid.on;
  $('raid-come').hidden = !raid.size;
  $('raid-come').max = raid.size || 1;
  $('raid-come').value = raid.come;
  $('raid-words').textContent = raid.size ? `${raid.come} of ${raid.size} came` : '';
}

export function tabs(changed) {
  const all = ['calls', 'think', 'raid'];
  const pick = (name) => {
    for (const one of all) {
      const on = one === name;
      $(`pane-${one}`).hidden = !on;
      $(`tab-${one}`).setAttribute('aria-selected', on);
      $(`tab-${one}`).tabIndex = on ? 0 : -1;
    }
    changed();
  };
  all.forEach((name, i) => {
    $(`tab-${name}`).addEventListener('click', () => pick(name));
    $(`tab-${name}`).addEventListener('keydown', (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
      if (!step) return;
      const next = all[(i + step + all.length) % all.length];
      pick(next);
      $(`tab-${next}`).focus();
    });
  });
}
