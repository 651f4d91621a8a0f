// One sender against a server that answers as it was told: what it sends, when it tries again, what it
// rejects with.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, test } from 'node:test';
import { Pushwire, PushwireError, signToken } from 'pushwire-sender';

const SENT = {
  status: 'Message sent',
  id: '1893456789012345678',
  delivered: 2,
  kept: true,
  durable: true,
};

/** What the script may hold beside functions: [status, JSON or text, headers]. */
const problem = (status, code, headers = {}, more = {}) => [
  status,
  { status, code, detail: 'so it is', ...more },
  headers,
];
const CLOSE = 'close';
const SILENCE = 'silence';

let server, script, asked, connections, url;

beforeEach(async () => {
  [script, asked, connections] = [[], [], 0];
  server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
    const told = script.shift() ?? SILENCE;
    if (told === CLOSE) return request.socket.destroy();
    if (told === SILENCE) return;
    const [status, value, headers = {}] = told;
    response.writeHead(status, headers);
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  });
  server.on('connection', () => connections++);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const sender = options => new Pushwire({ url, sender: 'shop', ...options });
const bodies = () => asked.map(({ body }) => JSON.parse(body));
const lines = (...results) => [200, results.map(told => `${JSON.stringify(told)}\n`).join('')];
const sentLines = ({ body }) =>
  body
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
const toAlice = numbers => numbers.map(message => ({ receiver: 'alice', message }));
const rejection = promise =>
  promise.then(
    () => assert.fail('it did not reject'),
    error => error,
  );

test('a message and its answer', async () => {
  script = [[200, SENT]];
  const sent = await sender().send('alice', { title: 'hi' }, { ttl: 0 });
  const { id, delivered, kept, durable } = SENT;
  assert.deepEqual(sent, { id, delivered, duplicate: false, kept, durable });
  assert.equal(asked[0].line, 'POST /send-message');
  assert.equal(asked[0].headers['content-type'], 'application/json');
  const { key, ...told } = bodies()[0];
  assert.ok(key.length >= 20);
  assert.deepEqual(told, { receiver: 'alice', message: { title: 'hi' }, sender: 'shop', ttl: 0 });
});

test('where it goes, with a key, and below a path', async () => {
  script = [1, 2, 3].map(() => [200, SENT]);
  const push = sender({ url: `${url}/push/`, key: 'pw_a_b' });
  await push.send(['alice', 'bob'], null, { key: 'k' });
  await push.publish('news', 1, { sender: 'desk' });
  await push.broadcast('all');
  const [one, two, three] = bodies();
  assert.deepEqual(one, { receivers: ['alice', 'bob'], message: null, sender: 'shop', key: 'k' });
  assert.deepEqual([two.channel, two.sender, three.broadcast], ['news', 'desk', true]);
  assert.notEqual(two.key, three.key);
  assert.equal(asked[0].line, 'POST /push/send-message');
  assert.equal(asked[0].headers.authorization, 'Bearer pw_a_b');
});

test('what can be no call is not sent', async () => {
  const push = sender();
  for (const to of [undefined, 7, '', [undefined], ['alice', '']]) {
    assert.ok((await rejection(push.send(to, 'hi'))) instanceof TypeError);
  }
  assert.ok((await rejection(push.send('alice', undefined))) instanceof TypeError);
  assert.equal((await rejection(push.send('alice', 1n))).code, 'bad_field');
  assert.throws(() => new Pushwire({ url: 'localhost:8000' }), TypeError);
  assert.throws(() => new Pushwire({ url: 'http://u:p@a' }), TypeError);
  assert.equal(asked.length, 0);
});

test('connections are kept', async () => {
  script = Array(20).fill([200, SENT]);
  const push = sender();
  for (let n = 0; n < 20; n++) await push.send('alice', n);
  assert.ok(connections < 5); // fetch may not see at once that one is free again
});

test('what may pass is tried again with the same key', async () => {
  for (const first of [
    CLOSE,
    problem(503, 'stopping'),
    problem(409, 'in_flight'),
    [502, '<html>'],
  ]) {
    script = [first, [200, SENT]];
    asked = [];
    await sender().send('alice', 'hi');
    const [one, two] = bodies();
    assert.deepEqual(one, two);
  }
});

test('what does not pass is told', async () => {
  for (const [status, code] of [
    [401, 'unauthorized'],
    [409, 'key_conflict'],
    [422, 'bad_field'],
    [507, 'no_room'],
  ]) {
    script = [problem(status, code, {}, { field: 'receiver', request_id: 'r7' })];
    const error = await rejection(sender().send('alice', 'hi'));
    assert.ok(error instanceof PushwireError && !error.passes);
    assert.deepEqual(
      [error.code, error.status, error.field, error.requestId, error.message],
      [code, status, 'receiver', 'r7', `${code}: so it is`],
    );
  }
});

test('it gives up at once where the server asks for more time than there is', async () => {
  script = [[503, 'busy', { 'Retry-After': '60' }]];
  const error = await rejection(sender().send('alice', 'hi'));
  assert.deepEqual([error.code, error.retryAfterMs, asked.length], ['http_503', 60_000, 1]);
});

test('who does not answer is unreachable', async () => {
  const push = sender({ timeoutMs: 50, retryForMs: 0 });
  const error = await rejection(push.send('alice', 'hi'));
  assert.deepEqual([error.code, error.passes, error.status], ['unreachable', true, undefined]);
});

test('a call is aborted, also while it waits for another attempt', async () => {
  for (const told of [SILENCE, problem(503, 'stopping', { 'Retry-After': '25' })]) {
    script = [told];
    asked = [];
    const { signal, ...control } = abortable();
    const sending = rejection(sender().send('alice', 'hi', { signal }));
    while (!asked.length) await new Promise(resolve => setTimeout(resolve, 5));
    control.abort();
    assert.equal((await sending).code, 'aborted');
  }
});

function abortable() {
  const made = new AbortController();
  return { signal: made.signal, abort: () => made.abort() };
}

test('an answer of somebody else', async () => {
  script = [[200, '<html>']];
  assert.equal((await rejection(sender().presence(['alice']))).code, 'bad_answer');
});

test('results are in order', async () => {
  script = [lines(SENT, { status: 422, code: 'bad_field', detail: 'no' }, { ...SENT, id: '3' })];
  const [one, two, three] = await sender().sendMany(toAlice([1, 2, 3]));
  assert.deepEqual([one.id, two.code, three.id], [SENT.id, 'bad_field', '3']);
  const told = sentLines(asked[0]);
  assert.equal(new Set(told.map(({ key }) => key)).size, 3);
  assert.equal(asked[0].headers['content-type'], 'application/x-ndjson');
});

test('those that were not taken are sent again', async () => {
  script = [
    lines(SENT, { status: 503, code: 'overloaded' }, SENT, { status: 413, code: 'too_many_lines' }),
    lines(SENT, SENT, SENT),
  ];
  const results = await sender().sendMany(toAlice([1, 2, 3, 4, 5]));
  assert.deepEqual(
    results.map(({ id }) => id),
    Array(5).fill(SENT.id),
  );
  const [first, again] = asked.map(sentLines);
  assert.deepEqual(again, [first[1], first[3], first[4]]);
});

test('many go in several requests, and what was done before the end is told', async () => {
  script = [lines(...Array(1000).fill(SENT)), problem(401, 'unauthorized')];
  async function* numbers() {
    yield* toAlice([...Array(1005).keys()]);
  }
  const error = await rejection(sender().sendMany(numbers()));
  assert.deepEqual([error.code, error.results.length], ['unauthorized', 1000]);
  assert.deepEqual(
    asked.map(request => sentLines(request).length),
    [1000, 5],
  );
});

test('presence and history', async () => {
  const page = {
    messages: [{ id: '1', sender: 'bob', message: 'hi', sent_at: 't' }],
    next: '1',
    more: false,
    gap: { after: '0', resumes: '1' },
  };
  const told = { user: 'alice', online: true, sessions: 2, last_seen: null };
  script = [
    [200, { users: [told] }],
    [200, page],
    [200, page],
  ];
  const push = sender();
  const presence = await push.presence(['alice']);
  assert.deepEqual(presence.get('alice'), { online: true, sessions: 2, lastSeen: null });
  const { messages, gap } = await push.history('al ice?', { after: '0', limit: 5 });
  assert.deepEqual(messages, [{ id: '1', sender: 'bob', message: 'hi', sentAt: 't' }]);
  assert.equal(gap.resumes, '1');
  await push.history({ channel: 'news' });
  assert.equal(asked[1].line, 'GET /users/al%20ice%3F/messages?after=0&limit=5');
  assert.equal(asked[2].line, 'GET /channels/news/messages?before=&limit=100');
});

test('events', async () => {
  const stored = { id: '1', sender: 'bob', sent_at: 't', event: 'order' };
  const page = { next: '1', more: false, gap: null };
  script = [
    [200, { id: '1', kept: true, durable: true }],
    [
      200,
      {
        ...page,
        messages: [
          { ...stored, message: 7 },
          { ...stored, args: [1, 2] },
        ],
      },
    ],
  ];
  const push = sender();
  await push.send('alice', { n: 1 }, { event: 'order', except: '0123456789abcdef' });
  const { key, ...body } = JSON.parse(asked[0].body);
  assert.deepEqual(body, {
    receiver: 'alice',
    event: 'order',
    message: { n: 1 },
    except: '0123456789abcdef',
    sender: body.sender,
  });
  const { messages } = await push.history('alice');
  const shown = { id: '1', sender: 'bob', sentAt: 't', event: 'order' };
  assert.deepEqual(messages, [
    { ...shown, message: 7 },
    { ...shown, message: [1, 2], args: [1, 2] },
  ]);
});

test('a token is signed', () => {
  const secret = 's'.repeat(40);
  const [head, claims, mac] = signToken(secret, 'ä', { ttl: 60, channels: ['news'] }).split('.');
  const { iat, exp, ...rest } = JSON.parse(Buffer.from(claims, 'base64url'));
  assert.deepEqual([exp - iat, rest], [60, { sub: 'ä', channels: ['news'] }]);
  const expected = createHmac('sha256', secret).update(`${head}.${claims}`).digest('base64url');
  assert.equal(mac, expected);
  assert.throws(() => signToken('short', 'alice'), RangeError);
});

test('CommonJS gets the same', () => {
  const { Pushwire: Same } = createRequire(import.meta.url)('pushwire-sender');
  assert.equal(typeof Same.prototype.sendMany, 'function');
});
