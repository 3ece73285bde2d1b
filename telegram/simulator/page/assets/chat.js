// The list of chats, and one chat.
import { $, make, keyed, colour } from './dom.js';

export function showRooms(state, open) {
  keyed($('rooms'), state.rooms.map((r) => ({ ...r, now: r.id === state.chat, topics: undefined })), (r) => r.id, (r) => {
    const face = make('span', { className: 'face', textContent: [...r.title.replace(/^@/, '')][0] ?? '?', ariaHidden: 'true' });
    face.style.setProperty('--face', colour(r.title));
    const kind = { channel: '📢 ', private: '🤖 ' }[r.kind] ?? '';
    const b = make('button', { type: 'button' }, face, make('span', { className: 'name', textContent: kind + r.title }),
      make('span', { className: 'last', textContent: r.muted ? 'You are muted' : r.last ?? '' }));
    b.setAttribute('aria-current', r.now);
    b.addEventListener('click', () => open(r.id));
    b.addEventListener('keydown', (e) => {
      const to = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[e.key];
      if (to) { e.preventDefault(); b.parentElement[to]?.firstElementChild.focus(); }
    });
    return make('li', {}, b);
  });
}

export function showTopics(room, state, open) {
  $('topics').hidden = !room.topics;
  keyed($('topics'), (room.topics ?? []).map((t) => ({ ...t, now: t.id === state.topic })), (t) => t.id, (t) => {
    const b = make('button', { type: 'button', role: 'tab', textContent: t.name });
    b.setAttribute('aria-selected', t.now);
    b.addEventListener('click', () => open(room.id, t.id));
    return b;
  });
}

const clock = (s) => new Date(s * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
const plain = (p) => p.parts?.map((x) => x.t).join('') ?? '';

export function showPosts(state, press, be, rule) {
  const box = $('posts');
  const low = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const room = state.rooms.find((r) => r.id === state.chat);
  const before = new Set([...box.children].map((e) => e.dataset.key));
  const byID = new Map(state.posts.map((p) => [p.id, p]));
  const items = state.posts.map((p) => ({ ...p, mod: !!room?.admin, quoted: byID.get(p.reply) ? plain(byID.get(p.reply)) : '' }));
  keyed(box, items, (p) => `${state.chat}/${p.id}`, (p) => build(p, press, be, rule));
  if (low) box.scrollTop = box.scrollHeight;
  say(state, before);
}

// say tells a screen reader of what came, of many messages only the last.
function say(state, before) {
  const last = state.posts.at(-1);
  if (!before.size || !last || before.has(`${state.chat}/${last.id}`)) return;
  $('heard').textContent = `${last.sender}: ${plain(last)}`.slice(0, 200);
}

function build(p, press, be, rule) {
  if (p.service) return make('li', { className: 'service', textContent: plain(p) });
  const bubble = make('div', { className: 'bubble' });
  if (!p.mine) {
    const sender = make('button', { className: 'sender', type: 'button', textContent: p.sender + (p.bot ? ' · bot' : '') });
    if (p.bot) sender.disabled = true;
    else { sender.title = `Be ${p.sender}`; sender.addEventListener('click', () => be(p.from)); }
    bubble.append(sender);
  }
  if (p.quoted) bubble.append(make('div', { className: 'quoted', textContent: p.quoted.slice(0, 80) }));
  const text = make('div', { className: 'text' });
  for (const x of p.parts ?? []) text.append(make('span', { className: x.s?.join(' ') ?? '', textContent: x.t }));
  if (p.file) text.append(make('div', { textContent: `📄 ${p.file}` }));
  bubble.append(text, make('span', { className: 'time', textContent: (p.edited ? 'edited ' : '') + clock(p.date) }));
  if (p.mod) {
    const gone = make('button', { type: 'button', textContent: 'delete', ariaLabel: `Delete the message of ${p.sender}` });
    gone.addEventListener('click', () => rule('remove', { message: p.id }));
    bubble.append(make('span', { className: 'tools' }, gone));
  }
  const li = make('li', { className: [p.mine && 'mine', p.bot && 'robot'].filter(Boolean).join(' ') }, bubble);
  if (p.buttons) li.append(keys(p, press));
  return li;
}

function keys(p, press) {
  return make('div', { className: 'buttons' }, ...p.buttons.map((row, r) => make('div', {}, ...row.map((b, c) => {
    const e = make('button', { type: 'button', className: b.style ?? '', textContent: b.t + (b.link ? ' ↗' : '') });
    e.addEventListener('click', async () => {
      e.disabled = true;
      await press(p.id, r, c);
      e.disabled = false;
    });
    return e;
  }))));
}

export function showKeyboard(state, rows, type, share) {
  $('keyboard').hidden = !rows.length;
  $('keyboard').replaceChildren(...rows.map((row) => make('div', {}, ...row.map((b) => {
    const e = make('button', { type: 'button', textContent: b.t });
    e.addEventListener('click', () => (b.request ? share(b) : type(b.t)));
    return e;
  }))));
}

const standing = { creator: 'owner', administrator: 'administrator', member: '', restricted: 'restricted', left: 'not here', kicked: 'banned' };

export function showMembers(state, rule, be) {
  const room = state.rooms.find((r) => r.id === state.chat);
  $('members-title').textContent = room ? `In ${room.title}` : 'Members';
  $('add-bot').hidden = !room?.admin || state.members.some((m) => m.bot && m.status === 'administrator');
  keyed($('members-list'), state.members.map((m) => ({ ...m, mod: !!room?.admin, me: m.id === state.me })), (m) => m.id, (m) => {
    const li = make('li', {}, make('span', { className: 'who' }, m.name, ' ', make('small', { textContent: m.muted ? 'muted' : standing[m.status] ?? '' })));
    const add = (words, what) => {
      const b = make('button', { type: 'button', textContent: words, ariaLabel: `${words}: ${m.name}` });
      b.addEventListener('click', what);
      li.append(b);
    };
    const rules = (words, what) => add(words, () => rule(what, { user: m.id }));
    if (!m.bot && !m.me) add('Be', () => be(m.id));
    if (!m.mod || m.me || m.status === 'creator') return li;
    if (m.status === 'administrator') rules('Demote', 'demote');
    else if (m.status === 'kicked') rules('Unban', 'unban');
    else {
      if (m.in) rules('Promote', 'promote');
      if (!m.bot) rules(m.status === 'restricted' ? 'Unmute' : 'Mute', m.status === 'restricted' ? 'unmute' : 'mute');
      rules('Ban', 'ban');
    }
    return li;
  });
}
