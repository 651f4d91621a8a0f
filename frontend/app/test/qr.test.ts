import jsQR from 'jsqr';
import { expect, it } from 'vitest';
import { qr } from '../src/qr.js';

const SCALE = 4;
const QUIET = 4;

/** As a camera sees it. */
function read(grid: boolean[][]): string | undefined {
  const size = (grid.length + 2 * QUIET) * SCALE;
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const dark = grid[Math.floor(y / SCALE) - QUIET]?.[Math.floor(x / SCALE) - QUIET];
      if (dark) pixels.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
    }
  return jsQR(pixels, size, size)?.data;
}

it.each([3, 17, 32, 53, 78, 106, 134, 154, 192, 230, 271])('can be read, with %i bytes', length => {
  const text = 'http://box:8000/?user=bob#chat/ann '.repeat(9).slice(0, length);
  expect(read(qr(text)!)).toBe(text);
});

it('takes any letters, and gives up beyond its room', () => {
  expect(read(qr('안녕, http://box/')!)).toBe('안녕, http://box/');
  expect(qr('x'.repeat(272))).toBeUndefined();
});
