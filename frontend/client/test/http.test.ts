import { describe, expect, it, vi } from 'vitest';
import { connect, PushwireError, type ConnectOptions } from '../src/index.js';
import { world } from './fakes.js';

const client = (more: Partial<ConnectOptions> = {}) =>
  connect({ user: 'alice', url: 'http://server', transports: ['ws'], ...more });

/** How a promise came out, looked at when it has. */
function outcome<R>(promise: Promise<R>) {
  const seen: { value?: R; error?: PushwireError } = {};
  promise.then(
    value => (seen.value = value),
    error => (seen.error = error),
  );
  return seen;
}

describe('send', () => {
  it('posts as the user, with a key of its own', async () => {
    const w = world();
    const sent = outcome(client().send({ receiver: 'bob', message: { a: 1 } }));
    await w.settle();
    const { key, ...rest } = w.request().body;
    expect(w.request().path).toBe('/send-message');
    expect(w.request().init.method).toBe('POST');
    expect(rest).toEqual({ sender: 'alice', receiver: 'bob', message: { a: 1 } });
    expect(key).toMatch(/^[0-9a-z]{12,}$/);
    w.request().answers({ status: 'Message sent', id: '7', delivered: 2, kept: true });
    await w.settle();
    expect(sent.value).toEqual({ id: '7', delivered: 2, duplicate: false, kept: true });
  });

  it('sends to many, for a while only', async () => {
    const w = world();
    const message = { receivers: ['bob', 'carol'], message: 1, ttl: 0 };
    const sent = outcome(client().send(message));
    await w.settle();
    expect(w.request().body).toMatchObject(message);
    const receivers = [{ receiver: 'bob', delivered: 1 }];
    w.request().answers({ id: '7', delivered: 1, kept: false, receivers });
    await w.settle();
    expect(sent.value).toEqual({ id: '7', delivered: 1, duplicate: false, kept: false, receivers });
  });

  it('tries again with one key, and knows a duplicate', async () => {
    const w = world();
    const sent = outcome(client().send({ channel: 'c', message: 'm' }, { key: 'k' }));
    await w.settle();
    w.request().fails();
    await w.pass(500);
    w.request().answers({ code: 'stopping' }, 503);
    await w.pass(500);
    expect(w.requests.map(request => request.body['key'])).toEqual(['k', 'k', 'k']);
    w.request().answers({ id: '7', duplicate: true, kept: true });
    await w.settle();
    expect(sent.value).toEqual({ id: '7', delivered: 0, duplicate: true, kept: true });
  });

  it('rejects after 30 s out of reach', async () => {
    const w = world();
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    const sent = outcome(client().send({ receiver: 'bob', message: 1 }));
    await w.pass(25_000);
    expect(sent.error).toBeUndefined();
    await w.pass(5000);
    expect(sent.error).toBeInstanceOf(PushwireError);
    expect(sent.error!.code).toBe('unreachable');
  });

  it('does not wait longer than that for a server that never answers', async () => {
    const w = world();
    const sent = outcome(client().send({ receiver: 'bob', message: 1 }));
    await w.pass(31_000);
    expect(sent.error!.code).toBe('unreachable');
    expect(w.requests.length).toBe(3);
  });

  it('does not repeat what is refused, and says why', async () => {
    const w = world();
    const sent = outcome(client().send({ receiver: 'b/c', message: 1 }));
    await w.settle();
    w.request().answers(
      { code: 'bad_field', field: 'receiver', title: 'A field is wrong', detail: 'No slash.' },
      422,
    );
    await w.pass(60_000);
    expect(w.requests).toHaveLength(1);
    const { code, status, field, detail } = sent.error!;
    expect([code, status, field, detail]).toEqual(['bad_field', 422, 'receiver', 'No slash.']);
  });

  const ring: { ring?: object } = {};
  ring.ring = ring;
  it.each([1n, { n: 1n }, ring])('refuses at once what is no JSON', async message => {
    const w = world();
    const sent = outcome(client().send({ receiver: 'b', message }));
    await w.pass(60_000);
    expect(w.requests).toHaveLength(0);
    expect([sent.error!.code, sent.error!.field]).toEqual(['bad_field', 'message']);
  });

  it('sends again what was given, whatever became of it meanwhile', async () => {
    const w = world();
    const message = { n: 1 };
    client().send({ receiver: 'b', message });
    await w.settle();
    message.n = 2;
    w.request().fails();
    await w.pass(500);
    expect(w.requests.map(request => request.body['message'])).toEqual([{ n: 1 }, { n: 1 }]);
  });

  it('waits as long as a 429 says', async () => {
    const w = world();
    client().send({ receiver: 'b', message: 1 });
    await w.settle();
    w.request().answers({ code: 'too_many_requests' }, 429, { 'Retry-After': '5' });
    await w.pass(6249); // and not all who were told so at once
    expect(w.requests).toHaveLength(1);
    await w.pass(2);
    expect(w.requests).toHaveLength(2);
  });

  it('ends with its signal, and with the client', async () => {
    const w = world();
    const stop = new AbortController();
    const c = client();
    const first = outcome(c.send({ receiver: 'b', message: 1 }, { signal: stop.signal }));
    const second = outcome(c.send({ receiver: 'b', message: 2 }));
    await w.settle();
    stop.abort();
    await w.settle();
    expect(first.error!.code).toBe('aborted');
    w.requests[1]!.fails();
    await w.settle();
    c.close();
    await w.settle();
    expect(second.error!.code).toBe('closed');
    const third = outcome(c.send({ receiver: 'b', message: 3 }));
    await w.settle();
    expect(third.error!.code).toBe('closed');
  });

  it('renews a refused token once', async () => {
    const w = world();
    let n = 0;
    const sent = outcome(
      client({ token: async () => `t${n++}` }).send({ receiver: 'b', message: 1 }),
    );
    await w.settle();
    w.request().answers({ code: 'unauthorized' }, 401);
    await w.settle();
    expect(w.requests.map(request => request.token)).toEqual(['Bearer t0', 'Bearer t1']);
    w.request().answers({ code: 'unauthorized' }, 401);
    await w.settle();
    expect(sent.error!.code).toBe('unauthorized');
    expect(w.requests).toHaveLength(2);
  });
});

describe('history', () => {
  it('asks for the user’s own or a channel’s messages, newest first', async () => {
    const w = world();
    const c = client({ user: 'a b' });
    const own = outcome(c.history());
    await w.settle();
    expect(w.request().path).toBe('/users/a%20b/messages?before=');
    w.request().answers({
      messages: [{ id: '9', sender: 'bob', message: 1, sent_at: 'now' }],
      next: '9',
      more: true,
      gap: null,
    });
    await w.settle();
    expect(own.value).toEqual({
      messages: [{ id: '9', sender: 'bob', message: 1, sentAt: 'now' }],
      more: true,
    });
    void c.history({ channel: 'new,s', before: '9', limit: 20 }).catch(() => {});
    await w.settle();
    expect(w.request().path).toBe('/channels/new%2Cs/messages?before=9&limit=20');
  });

  it('rejects with the server’s problem, or with one of its own', async () => {
    const w = world();
    const c = client();
    const refused = outcome(c.history());
    await w.settle();
    w.request().answers({ code: 'forbidden', detail: 'Not yours.' }, 403);
    const odd = outcome(c.history());
    await w.settle();
    w.request().answers(undefined);
    await w.settle();
    expect(refused.error!.code).toBe('forbidden');
    expect(odd.error!.code).toBe('bad_answer');
  });
});
