import { execFileSync } from 'node:child_process';
import { beforeAll, expect, it, vi } from 'vitest';
import { parse } from '../src/rooms/room.js';

let server: typeof import('../src/server.js');
beforeAll(async () => {
  vi.stubGlobal('window', { location: new URL('http://localhost:8000/push/#chat') });
  server = await import('../src/server.js');
});

it('knows a proper name by its bytes', () => {
  for (const name of ['alice', '영희', 'a b', '…', 'x'.repeat(128)])
    expect(server.isName(name)).toBe(true);
  for (const name of ['', '.', '..', 'a/b', 'a\nb', 'x'.repeat(129), '가'.repeat(43)])
    expect(server.isName(name)).toBe(false);
});

it.each(["it's", '"quoted" \\ $HOME `id`', '영희\n'])('gives curl %j as it is', message => {
  const line = server.curlLine({ message }, false, 'http://localhost:8000');
  expect(line).toMatch(/^curl localhost:8000\/send-message -d '/);
  const said = execFileSync('sh', ['-c', line.replace(/^curl \S+ -d/, 'printf %s')]);
  expect(JSON.parse(String(said))).toEqual({ message });
});

it('names a credential and does not show it', () => {
  expect(server.curlLine({}, true, 'https://push.example')).toBe(
    `curl https://push.example/send-message -H "Authorization: Bearer $KEY" -d '{}'`,
  );
});

it('parts who speaks from what is said', () => {
  expect(parse('bob: hi: there')).toEqual({ name: 'bob', text: 'hi: there' });
  expect(parse('hi')).toEqual({ name: '', text: 'hi' });
});
