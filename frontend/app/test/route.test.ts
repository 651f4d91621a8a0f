import { expect, it } from 'vitest';
import { hashOf, invitation, parseRoute } from '../src/route.js';

it.each([
  ['', 'chat', undefined],
  ['#inbox', 'inbox', undefined],
  ['#chat/b%20ob', 'chat', 'b ob'],
  ['#rooms/%EC%B0%A8', 'rooms', '차'],
  ['#chat/%', 'chat', undefined],
  ['#nowhere', 'chat', undefined],
] as const)('%s is %s of %s', (hash, view, of) => {
  expect(parseRoute(hash)).toEqual({ view, of });
});

it('comes back from its own addresses', () => {
  for (const of of ['bob', '차/茶', 'a#b?c', '%41'])
    expect(parseRoute(hashOf('chat', of))).toEqual({ view: 'chat', of });
});

it('invites as who one will be, to whom', () => {
  expect(invitation('http://box:8000/?user=x#chat', 'bo b', 'ann')).toBe(
    'http://box:8000/?user=bo+b#chat/ann',
  );
});
