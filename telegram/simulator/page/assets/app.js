// The page: who you are, which chat is open, and a stream of what that person sees.
import { showPosts, showRooms, showTopics, showKeyboard, showMembers } from './chat.js';
import { showCalls, showThink, showRaid, tabs } from './side.js';
import { $, act, toast, make } from './dom.js';

const state = { me: 0, chat: 0, topic: 0, seq: 0, rooms: [], people: [], members: [], posts: [] };
let stream;

// The address keeps who and where, so that a reload and a link show the same.
function readAddress() {
  const at = new URLSearchParams(location.hash.slice(1));
  for (const key of ['me', 'chat', 'topic']) state[key] = Number(at.get(key)) || 0;
}

function go(change) {
  Object.assign(state, change);
  const at = new URLSearchParams({ me: state.me, chat: state.chat, topic: state.topic });
  history.replaceState(null, '', `#${at}`);
  connect();
  render();
}

function open(chat, topic = 0) {
  go({ chat, topic, posts: [], members: [] });
  document.body.dataset.panel = 'chat';
  showThink(state.chat);
}

function connect() {
  stream?.close();
  const at = new URLSearchParams({ me: state.me, chat: state.chat, topic: state.topic, seq: state.seq });
  stream = new EventSource(`page/live?${at}`);
  for (const name of ['people', 'rooms', 'members', 'keyboard', 'posts', 'raid', 'calls']) {
    stream.addEventListener(name, (e) => take(name, JSON.parse(e.data)));
  }
  stream.onerror = () => { document.title = 'Telegram in a box (not connected)'; };
  stream.onopen = () => { document.title = 'Telegram in a box'; };
}

function take(name, body) {
  switch (name) {
    case 'people': state.people = body ?? []; showPeople(); break;
    case 'rooms': state.rooms = body ?? []; showRooms(state, open); showHead(); break;
    case 'members': state.members = body ?? []; showMembers(state, rule, be); break;
    case 'keyboard': showKeyboard(state, body ?? [], type, share); break;
    case 'posts': state.posts = body ?? []; showPosts(state, press, be, rule); break;
    case 'raid': showRaid(body); break;
    case 'calls': state.seq = body.list.at(-1).seq; showCalls(body); showThink(state.chat, true); break;
  }
}

function render() {
  showRooms(state, open);
  showHead();
  showPosts(state, press, be, rule);
}

function showPeople() {
  const box = $('me');
  const list = state.people.map((p) => make('option', { value: p.id, textContent: p.name }));
  if (state.me && !state.people.some((p) => p.id === state.me)) list.push(make('option', { value: state.me, textContent: 'somebody else' }));
  box.replaceChildren(...list);
  if (!state.me && state.people.length) go({ me: state.people[0].id });
  box.value = state.me;
}

// be makes you somebody: from the list, or by a name in a chat.
function be(id) {
  const private_ = state.chat === state.me;
  go({ me: id, chat: private_ ? id : state.chat, posts: [], members: [] });
  showPeople();
}

const kinds = { private: 'private chat', group: 'group', supergroup: 'group', channel: 'channel' };

function showHead() {
  const room = state.rooms.find((r) => r.id === state.chat);
  $('title').textContent = room ? room.title : 'Choose a chat';
  $('writer').hidden = $('closed').hidden = true;
  for (const id of ['enter', 'people']) $(id).hidden = !room || room.kind === 'private';
  $('topics').hidden = true;
  if (!room) { $('subtitle').textContent = ''; return; }
  const words = [kinds[room.kind]];
  if (room.username) words.push(`@${room.username}`);
  if (room.kind !== 'private') words.push(`${room.members} ${room.kind === 'channel' ? 'subscribers' : 'members'}`);
  $('subtitle').textContent = words.join(' · ');
  $('enter').textContent = room.in ? 'Leave' : 'Join';
  $('enter').hidden ||= room.status === 'creator';
  $('anon-label').hidden = !(room.admin && room.kind === 'supergroup');
  showTopics(room, state, open);
  const closed = why(room);
  $('closed').textContent = closed;
  $('closed').hidden = !closed;
  $('writer').hidden = !!closed;
}

// why somebody cannot write in a room; empty when they can.
function why(room) {
  if (room.kind === 'private') return '';
  if (room.status === 'kicked') return 'You are banned here.';
  if (!room.in) return `You are not in this ${kinds[room.kind]}.`;
  if (room.kind === 'channel' && !room.admin) return 'Only administrators post here.';
  if (room.muted) return 'You are muted here.';
  return '';
}

async function type(text) {
  await act({ act: 'write', me: state.me, chat: state.chat, topic: state.topic, text, as: $('anon').checked && !$('anon-label').hidden ? 'group' : '' });
}

async function press(message, row, column) {
  follow(await act({ act: 'press', me: state.me, chat: state.chat, message, row, column }));
}

// follow shows what a press brought: words, a chat, or a place to choose for the bot.
async function follow(answer) {
  if (!answer) return;
  if (answer.add) return addTo(answer.kind, answer.rights);
  if (answer.chat) return open(answer.chat);
  if (!answer.text) return;
  if (!answer.alert) return toast(answer.text);
  $('alert-words').textContent = answer.text;
  $('alert').showModal();
}

function choose(title, rooms, picked) {
  $('choose-title').textContent = title;
  $('choose-list').replaceChildren(...rooms.map((r) => {
    const b = make('button', { textContent: r.title, value: r.id });
    b.addEventListener('click', () => picked(r.id));
    return make('li', {}, b);
  }));
  if (!rooms.length) $('choose-list').append(make('li', { textContent: 'You administer none. Make one with +.' }));
  $('choose').showModal();
}

function share(pick) {
  const rooms = state.rooms.filter((r) => pick.chats?.includes(r.id));
  choose(pick.t, rooms, (chat) => act({ act: 'share', me: state.me, chat, request: pick.request }));
}

function addTo(kind, rights) {
  const rooms = state.rooms.filter((r) => r.admin && (kind === 'channel') === (r.kind === 'channel'));
  choose('Add the bot to', rooms, async (chat) => {
    await act({ act: 'promote', me: state.me, chat, rights });
    open(chat);
  });
}

const rule = (what, more) => act({ act: what, me: state.me, chat: state.chat, ...more });

$('me').addEventListener('change', (e) => be(Number(e.target.value)));
$('back').addEventListener('click', () => { document.body.dataset.panel = 'chats'; });
$('back-bot').addEventListener('click', () => { document.body.dataset.panel = 'chat'; });
$('show-bot').addEventListener('click', () => { document.body.dataset.panel = 'bot'; $('tab-calls').focus(); });
$('enter').addEventListener('click', () => rule($('enter').textContent === 'Leave' ? 'leave' : 'join'));
$('people').addEventListener('click', () => $('members').showModal());
$('add-bot').addEventListener('click', () => rule('promote', {}));
$('new').addEventListener('click', () => { $('make-name').value = $('make').returnValue = ''; $('make').showModal(); $('make-name').focus(); });
$('make').addEventListener('close', async () => {
  if ($('make').returnValue !== 'make') return;
  const kind = $('make-kind').value;
  const made = await act({ act: kind === 'person' ? 'person' : 'place', me: state.me, kind, text: $('make-name').value });
  if (made && kind === 'person') be(made.id);
  if (made && kind !== 'person') open(made.id);
});
$('writer').addEventListener('submit', async (e) => {
  e.preventDefault();
  const text = $('words').value;
  if (!text.trim()) return;
  $('words').value = '';
  await type(text);
});
$('words').addEventListener('keydown', (e) => {
  if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); $('writer').requestSubmit(); }
});
$('raider').addEventListener('submit', (e) => { e.preventDefault(); rule('raid', { count: Number($('size').value) }); });
$('size').addEventListener('input', () => { $('size-shown').value = $('size').value; });
addEventListener('hashchange', () => { readAddress(); go({}); });

tabs(() => showThink(state.chat));
readAddress();
connect();
if (state.chat) document.body.dataset.panel = 'chat';
