// What Vue and Svelte get, without a browser's help: from the fake client.

import { computed, createSSRApp, defineComponent, h, nextTick, type App } from 'vue';
import { createApp } from 'vue';
import { renderToString } from 'vue/server-renderer';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PushwireError } from '../src/index.js';
import { pushwire } from '../src/svelte.js';
import { fakeClient } from '../src/testing.js';
import { providePushwire, useChannel, useNotifications } from '../src/vue.js';

const seen: unknown[] = [];
const apps: App[] = [];
afterEach(() => {
  for (const app of apps.splice(0)) app.unmount();
  seen.length = 0;
});

/** A component within one that has this client. */
function mount(client: ReturnType<typeof fakeClient<string>>, setup: () => () => string) {
  const Inner = defineComponent({ setup: () => setup() });
  const Outer = defineComponent({
    setup() {
      providePushwire({ client });
      return () => h(Inner);
    },
  });
  return { Outer, Inner };
}

const settle = async () => {
  await new Promise(resolve => setTimeout(resolve, 120));
  await nextTick();
};

describe.runIf(globalThis.document)('Vue', () => {
  function show(client: ReturnType<typeof fakeClient<string>>, setup: () => () => string) {
    const app = createApp(mount(client, setup).Outer);
    const place = document.createElement('div');
    app.mount(place);
    apps.push(app);
    return place;
  }

  it('shows notifications, and counts what is not read', async () => {
    const client = fakeClient<string>();
    const kept = client.receive('kept');
    let all!: ReturnType<typeof useNotifications<string>>;
    const place = show(client, () => {
      all = useNotifications<string>();
      const text = computed(() => all.items.value.map(({ message }) => message).join());
      return () => `${all.unread.value} ${all.status.value} ${text.value}`;
    });
    await settle();
    expect(place.textContent).toBe('1 online kept');
    client.receive('new');
    await settle();
    expect(place.textContent).toBe('2 online new,kept');
    all.markRead(kept.id);
    client.setState('reconnecting');
    await settle();
    expect(place.textContent).toBe('1 reconnecting new,kept');
    expect(all.client.value).toBe(client);
  });

  it('shows a channel while it is mounted', async () => {
    const client = fakeClient<string>();
    let channel!: ReturnType<typeof useChannel<string>>;
    const place = show(client, () => {
      channel = useChannel<string>('tea');
      return () => channel.messages.value.map(({ message }) => message).join();
    });
    await settle();
    expect([...client.channels]).toEqual(['tea']);
    client.receive('hi', { channel: 'tea' });
    await settle();
    expect(place.textContent).toBe('hi');
    client.setChannel('tea', 'refused', new PushwireError('forbidden', 'No.'));
    await nextTick();
    expect([channel.subscription.value, channel.error.value?.code]).toEqual([
      'refused',
      'forbidden',
    ]);
    await channel.send('yes');
    expect(client.sent).toEqual([{ channel: 'tea', message: 'yes' }]);
    apps.pop()!.unmount();
    expect([...client.channels]).toEqual([]);
  });
});

it('Vue renders on a server without connecting', async () => {
  const client = fakeClient<string>();
  const on = vi.spyOn(client, 'on');
  const { Outer } = mount(client, () => {
    const { unread, status } = useNotifications<string>();
    return () => `${unread.value} ${status.value}`;
  });
  expect(await renderToString(createSSRApp(Outer))).toBe('0 connecting');
  expect(on).not.toHaveBeenCalled();
});

it('Svelte has stores', async () => {
  const client = fakeClient<string>();
  const { notifications, channel, close } = pushwire<string>({ client });
  const stop = notifications.subscribe(value => seen.push(value.unread));
  const tea = channel('tea');
  const texts: string[] = [];
  const letGo = tea.subscribe(({ messages }) => texts.push(messages.map(m => m.message).join()));
  client.receive('hi', { channel: 'tea' });
  client.receive('mail');
  await settle();
  expect([seen.at(-1), texts.at(-1)]).toEqual([1, 'hi']);
  notifications.markRead('all');
  expect(seen.at(-1)).toBe(0);
  await tea.send('yes');
  expect(client.sent).toEqual([{ channel: 'tea', message: 'yes' }]);
  letGo();
  expect([...client.channels]).toEqual([]);
  stop();
  close();
  const before = seen.length;
  client.receive('later');
  expect(seen).toHaveLength(before);
});
