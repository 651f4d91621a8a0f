import { act, StrictMode, version, type ReactNode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PushwireError } from '../src/index.js';
import {
  PushwireProvider,
  useChannel,
  useClient,
  useNotifications,
  type Channel,
  type Notifications,
} from '../src/react.js';
import { fakeClient } from '../src/testing.js';
import { world } from './fakes.js';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let root: Root;
beforeEach(() => {
  localStorage.clear();
  vi.useFakeTimers();
  root = createRoot(document.createElement('div'));
});
afterEach(() => {
  act(() => root.unmount());
  vi.useRealTimers();
});

const render = (node: ReactNode) => act(async () => root.render(node));
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

/** What the hook gave at its last render, and how often it rendered. */
function probe<R>(use: () => R) {
  const seen = { renders: 0 } as { now: R; renders: number };
  function Probe() {
    seen.now = use();
    seen.renders++;
    return null;
  }
  return { seen, node: <Probe /> };
}

const notifications = () => probe(() => useNotifications<string>());
const texts = (n: { items: readonly { message: string }[] }) => n.items.map(m => m.message);

it('runs with the version that is meant', () => {
  expect(version.split('.')[0]).toBe(process.env['REACT']);
});

describe('useNotifications', () => {
  it('shows what is kept and what comes, newest first', async () => {
    const client = fakeClient<string>();
    client.receive('kept');
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect(texts(seen.now)).toEqual(['kept']);
    expect(seen.now.status).toBe('online');
    act(() => void client.receive('new'));
    expect(texts(seen.now)).toEqual(['new', 'kept']);
    expect(seen.now.unread).toBe(2);
  });

  it('counts what is not read, and remembers it in this browser', async () => {
    const client = fakeClient<string>();
    const [one, two] = ['1', '2', '3'].map(text => client.receive(text));
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect(seen.now.unread).toBe(3);
    act(() => seen.now.markRead(one!.id));
    act(() => seen.now.markRead(one!.id));
    expect(seen.now.unread).toBe(2);
    expect([seen.now.isRead(one!.id), seen.now.isRead(two!.id)]).toEqual([true, false]);
    await render(null);
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect(seen.now.unread).toBe(2);
    act(() => seen.now.markRead('all'));
    expect(seen.now.unread).toBe(0);
    await pass(100);
    act(() => void client.receive('4'));
    expect(seen.now.unread).toBe(1);
  });

  it('says when there may be more that are unread than are loaded', async () => {
    const client = fakeClient<string>();
    for (let i = 0; i < 60; i++) client.receive(String(i));
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect([seen.now.unread, seen.now.moreUnread]).toEqual([50, true]);
    act(() => seen.now.markRead(seen.now.items.slice(0, 20).map(({ id }) => id)));
    expect([seen.now.unread, seen.now.moreUnread]).toEqual([30, true]);
    act(() => seen.now.markRead('all'));
    expect([seen.now.unread, seen.now.moreUnread]).toEqual([0, false]);
  });

  it('begins with what is new, and shows of what is kept a page', async () => {
    const w = world();
    const { seen, node } = notifications();
    await render(
      <PushwireProvider user="alice" url="http://server">
        {node}
      </PushwireProvider>,
    );
    await pass(0);
    expect(w.socket().query.has('after')).toBe(false);
    const wire = (id: string) => ({ id, sender: 'bob', message: id, sent_at: 'now' });
    w.request().answers({ messages: [wire('4')], more: true });
    await pass(0);
    await act(async () => w.socket().welcome('5'));
    await pass(0);
    expect(w.requests).toHaveLength(2); // 5 came after the page, and before the session
    w.request().answers({ messages: [wire('5'), wire('4')], more: true });
    await pass(0);
    await act(async () => w.socket().message('6', '6'));
    await pass(120);
    expect(texts(seen.now)).toEqual(['6', '5', '4']);
    expect(seen.now.hasMore).toBe(true);
  });

  it('hears from other tabs what was read there', async () => {
    const client = fakeClient<string>();
    const message = client.receive('1');
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    const newValue = JSON.stringify({ upTo: message.id, also: [] });
    const key = 'pushwire:read:["","alice"]';
    act(() => void dispatchEvent(new StorageEvent('storage', { key, newValue })));
    expect(seen.now.unread).toBe(0);
    act(() => void dispatchEvent(new StorageEvent('storage', { key, newValue: 'rubbish' })));
    expect(seen.now.unread).toBe(1);
  });

  it('loads older pages', async () => {
    const client = fakeClient<string>();
    for (let i = 0; i < 120; i++) client.receive(String(i));
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect([seen.now.items.length, seen.now.hasMore]).toEqual([50, true]);
    await act(() => Promise.all([seen.now.loadMore(), seen.now.loadMore()])); // one at a time
    expect([seen.now.items.length, seen.now.hasMore]).toEqual([100, true]);
    await act(() => seen.now.loadMore());
    expect([seen.now.items.length, seen.now.hasMore]).toEqual([120, false]);
    expect(seen.now.items.at(-1)!.message).toBe('0');
  });

  it('renders a burst a few times only, and keeps a bounded list', async () => {
    const client = fakeClient<string>();
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    const before = seen.renders;
    act(() => {
      for (let i = 0; i < 1200; i++) client.receive(String(i));
    });
    await pass(100);
    expect(seen.renders - before).toBeLessThan(5);
    expect([seen.now.items.length, seen.now.hasMore]).toEqual([1000, true]);
    expect(seen.now.items[0]!.message).toBe('1199');
    await act(() => seen.now.loadMore());
    expect(seen.now.items.length).toBe(1050);
  });

  it('shows state and error, and loads when it can what it could not', async () => {
    const client = fakeClient<string>({ state: 'connecting' });
    client.receive('kept');
    client.failNext(new PushwireError('unreachable', 'No.'));
    const { seen, node } = notifications();
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    expect([seen.now.status, seen.now.error?.code]).toEqual(['connecting', 'unreachable']);
    await act(async () => client.setState('online'));
    expect([seen.now.status, seen.now.error]).toEqual(['online', undefined]);
    expect(texts(seen.now)).toEqual(['kept']);
    act(() => client.fail(new PushwireError('kicked', 'Away.')));
    expect(seen.now.error!.code).toBe('kicked');
  });

  it('says what is missing without a provider', () => {
    expect(() => renderToString(notifications().node)).toThrow('<PushwireProvider>');
  });
});

describe('useChannel', () => {
  it('shows a channel, oldest first, and sends to it', async () => {
    const client = fakeClient<string>();
    client.receive('kept', { channel: 'tea' });
    client.receive('else', { channel: 'coffee' });
    const tea = probe(() => useChannel<string>('tea'));
    const own = notifications();
    await render(
      <PushwireProvider client={client}>
        {tea.node}
        {own.node}
      </PushwireProvider>,
    );
    expect([...client.channels]).toEqual(['tea']);
    act(() => void client.receive('new', { channel: 'tea' }));
    act(() => void client.receive('mine'));
    expect(tea.seen.now.messages.map(m => m.message)).toEqual(['kept', 'new']);
    expect(texts(own.seen.now)).toEqual(['mine']);
    await act(() => tea.seen.now.send({ hi: 1 }));
    expect(client.sent).toEqual([{ channel: 'tea', message: { hi: 1 } }]);
    expect(tea.seen.now.status).toBe('online');
  });

  it('is shared, and left with the last one who shows it', async () => {
    const client = fakeClient<string>();
    const one = probe((): Channel<string> => useChannel('a'));
    const two = probe((): Channel<string> => useChannel('a'));
    const both = (a: boolean, b: boolean) => (
      <PushwireProvider client={client}>
        {a && one.node}
        {b && two.node}
      </PushwireProvider>
    );
    await render(both(true, true));
    await render(both(false, true));
    expect([...client.channels]).toEqual(['a']);
    act(() => void client.receive('m', { channel: 'a' }));
    expect(two.seen.now.messages).toHaveLength(1);
    await render(both(false, false));
    expect([...client.channels]).toEqual([]);
  });

  it('follows its name', async () => {
    const client = fakeClient<string>();
    client.receive('in b', { channel: 'b' });
    let name = 'a';
    const { seen, node } = probe(() => useChannel<string>(name));
    await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
    name = 'b';
    const again = probe(() => useChannel<string>(name));
    await render(<PushwireProvider client={client}>{again.node}</PushwireProvider>);
    expect([...client.channels]).toEqual(['b']);
    expect(again.seen.now.messages.map(m => m.message)).toEqual(['in b']);
    expect(seen.now.messages).toEqual([]);
  });

  it('cannot send before there is somebody to send', async () => {
    let failed: unknown;
    function Hasty() {
      const { send } = useChannel('a');
      send('x').catch(error => (failed ??= error));
      return null;
    }
    await render(
      <PushwireProvider client={fakeClient()}>
        <Hasty />
      </PushwireProvider>,
    );
    expect(failed).toBeInstanceOf(PushwireError);
  });
});

describe('PushwireProvider', () => {
  const app = (user: string, node: ReactNode, more = {}) => (
    <StrictMode>
      <PushwireProvider user={user} url="http://server" storage="memory" {...more}>
        {node}
      </PushwireProvider>
    </StrictMode>
  );
  const mail = (id: string, message: string) => ({ id, sender: 'bob', message, sent_at: 'now' });
  const page = (...messages: object[]) => ({ messages, more: false, next: null, gap: null });

  it('opens one socket in StrictMode, and closes it', async () => {
    const w = world();
    const { seen, node } = notifications();
    await render(app('alice', node));
    await pass(0);
    expect(w.sockets).toHaveLength(1);
    await act(async () => w.socket().welcome());
    await act(async () => w.socket().message('1', 'hi'));
    expect(texts(seen.now)).toEqual(['hi']);
    expect(seen.now.status).toBe('online');
    await render(null);
    expect(w.socket().closed).toBe(true);
    await pass(60_000);
    expect(w.sockets).toHaveLength(1);
  });

  it('closes, empties and reconnects for another user', async () => {
    const w = world();
    const { seen, node } = notifications();
    await render(app('alice', node));
    await pass(0);
    await act(async () => w.socket().welcome());
    await act(async () => w.socket().message('1', 'for alice'));
    const late = w.request();
    await render(app('bob', node));
    await pass(0);
    expect(w.sockets[0]!.closed).toBe(true);
    expect(w.socket().url).toContain('/ws/bob');
    expect([texts(seen.now), seen.now.status]).toEqual([[], 'connecting']);
    await act(async () => late.answers(page(mail('0', 'alice’s, late'))));
    expect(texts(seen.now)).toEqual([]);
    await act(async () => w.request().answers(page(mail('2', 'bob’s'))));
    expect(texts(seen.now)).toEqual(['bob’s']);
  });

  it('stays connected over renders with new functions, and uses the newest', async () => {
    const w = world();
    const { node } = notifications();
    await render(app('alice', node, { token: async () => 'one' }));
    await pass(0);
    await render(app('alice', node, { token: async () => 'two' }));
    await pass(0);
    expect(w.sockets).toHaveLength(1);
    await act(async () => w.socket().ends(4401));
    await pass(0);
    expect(w.socket().protocols[1]).toBe('bearer.two');
  });

  it('acknowledges what it shows where the server keeps the cursor', async () => {
    const w = world();
    await render(app('alice', notifications().node, { device: 'phone' }));
    await pass(0);
    await act(async () => w.socket().welcome());
    await act(async () => w.socket().message('5'));
    expect(w.socket().sent).toEqual([{ type: 'ack', id: '5' }]);
  });

  it('leaves a client that it was given open', async () => {
    const client = fakeClient();
    await render(<PushwireProvider client={client}>{notifications().node}</PushwireProvider>);
    await render(null);
    expect(client.closed).toBe(false);
  });

  it('renders on a server, empty and connecting, and touches nothing there', () => {
    let now: Notifications<string> | undefined;
    function Probe() {
      now = useNotifications<string>();
      return <p>{now.status}</p>;
    }
    for (const name of ['WebSocket', 'localStorage', 'navigator', 'document', 'addEventListener'])
      vi.stubGlobal(name, undefined);
    const html = renderToString(
      <PushwireProvider user="alice">
        <Probe />
      </PushwireProvider>,
    );
    vi.unstubAllGlobals();
    expect(html).toContain('connecting');
    expect(now!.items).toEqual([]);
  });
});

it('gives its client to who is within', async () => {
  const client = fakeClient<string>();
  const { seen, node } = probe(() => useClient<string>());
  expect(renderToString(<PushwireProvider client={client}>{node}</PushwireProvider>)).toBe('');
  expect(seen.now).toBeUndefined();
  await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
  expect(seen.now).toBe(client);
});

it('loads older pages of a channel, and says when it is refused', async () => {
  const client = fakeClient<string>();
  for (let i = 0; i < 70; i++) client.receive(String(i), { channel: 'tea' });
  const { seen, node } = probe(() => useChannel<string>('tea'));
  await render(<PushwireProvider client={client}>{node}</PushwireProvider>);
  expect([seen.now.messages.length, seen.now.hasMore, seen.now.subscription]).toEqual([
    50,
    true,
    'subscribed',
  ]);
  await act(() => seen.now.loadMore());
  expect([seen.now.messages.length, seen.now.messages[0]!.message, seen.now.hasMore]).toEqual([
    70,
    '0',
    false,
  ]);
  act(() => client.setChannel('tea', 'refused', new PushwireError('forbidden', 'No.')));
  expect([seen.now.subscription, seen.now.error?.code]).toEqual(['refused', 'forbidden']);
});
