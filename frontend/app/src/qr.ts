// A QR code of a text: byte mode, error correction L, versions 1 to 10 (ISO/IEC 18004).

/** For each version: data codewords, check codewords a block, blocks. */
const VERSIONS: readonly (readonly [number, number, number])[] = [
  [19, 7, 1],
  [34, 10, 1],
  [55, 15, 1],
  [80, 20, 1],
  [108, 26, 1],
  [136, 18, 2],
  [156, 20, 2],
  [194, 24, 2],
  [232, 30, 2],
  [274, 18, 4],
];

// The field of 256 elements that Reed-Solomon counts in.
const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++) {
  EXP[i] = EXP[i + 255] = x;
  LOG[x] = i;
  x = (x << 1) ^ (x & 0x80 ? 0x11d : 0);
}
const times = (a: number, b: number): number => (a && b ? EXP[LOG[a]! + LOG[b]!]! : 0);

function checkOf(data: readonly number[], length: number): number[] {
  let poly = [1];
  for (let i = 0; i < length; i++) {
    const next = [...poly, 0];
    poly.forEach((value, at) => (next[at + 1]! ^= times(value, EXP[i]!)));
    poly = next;
  }
  const rest = [...data, ...Array<number>(length).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i]!;
    poly.forEach((value, at) => (rest[i + at]! ^= times(value, factor)));
  }
  return rest.slice(data.length);
}

function codewords(bytes: Uint8Array, version: number): number[] {
  const [room, check, blocks] = VERSIONS[version - 1]!;
  const bits: number[] = [];
  const put = (value: number, length: number) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach(byte => put(byte, 8));
  put(0, Math.min(4, room * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const data: number[] = [];
  for (let i = 0; i < bits.length; i += 8) data.push(parseInt(bits.slice(i, i + 8).join(''), 2));
  for (let pad = 0xec; data.length < room; pad ^= 0xec ^ 0x11) data.push(pad);

  // The last blocks are one longer where it does not come out even.
  const short = Math.floor(room / blocks);
  const longFrom = blocks - (room % blocks);
  const parts: number[][] = [];
  for (let i = 0, at = 0; i < blocks; i++) {
    const length = short + (i >= longFrom ? 1 : 0);
    parts.push(data.slice(at, (at += length)));
  }
  const checks = parts.map(part => checkOf(part, check));
  const all: number[] = [];
  for (let i = 0; i <= short; i++)
    for (const part of parts) if (i < part.length) all.push(part[i]!);
  for (let i = 0; i < check; i++) for (const part of checks) all.push(part[i]!);
  return all;
}

/** Where the small squares that help a camera stand. */
function alignments(version: number): number[] {
  if (version === 1) return [];
  const last = version * 4 + 10;
  return version < 7 ? [6, last] : [6, 6 + (version * 4 + 4) / 2, last];
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  x => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The check of a format or version: the rest of a division of polynomials. */
function withCheck(value: number, bits: number, poly: number): number {
  let rest = value << bits;
  for (let i = 31 - Math.clz32(rest); i >= bits; i = 31 - Math.clz32(rest))
    rest ^= poly << (i - bits);
  return (value << bits) | rest;
}

type Grid = (boolean | undefined)[][];

function frame(version: number): Grid {
  const size = version * 4 + 17;
  const grid: Grid = Array.from({ length: size }, () => Array<boolean | undefined>(size));
  const finder = (cx: number, cy: number) => {
    for (let y = cy - 4; y <= cy + 4; y++)
      for (let x = cx - 4; x <= cx + 4; x++) {
        const ring = Math.max(Math.abs(x - cx), Math.abs(y - cy));
        if (grid[y] && x >= 0 && x < size) grid[y]![x] = ring !== 2 && ring !== 4;
      }
  };
  finder(3, 3);
  finder(size - 4, 3);
  finder(3, size - 4);
  const places = alignments(version);
  for (const cy of places)
    for (const cx of places) {
      if (grid[cy]![cx] !== undefined) continue; // a finder is there
      for (let y = -2; y <= 2; y++)
        for (let x = -2; x <= 2; x++)
          grid[cy + y]![cx + x] = Math.max(Math.abs(x), Math.abs(y)) !== 1;
    }
  for (let i = 8; i < size - 8; i++) grid[6]![i] = grid[i]![6] = i % 2 === 0;
  writeFormat(grid, 0); // its place is taken
  if (version >= 7) {
    const bits = withCheck(version, 12, 0x1f25);
    for (let i = 0; i < 18; i++) {
      const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
      grid[b]![a] = grid[a]![b] = ((bits >> i) & 1) === 1;
    }
  }
  return grid;
}

function writeFormat(grid: Grid, mask: number): void {
  const size = grid.length;
  const bits = withCheck(0b01000 | mask, 10, 0x537) ^ 0x5412;
  const bit = (i: number) => ((bits >> i) & 1) === 1;
  for (let i = 0; i < 15; i++) {
    const around = i < 6 ? i : i < 8 ? i + 1 : i === 8 ? 7 : 14 - i;
    if (i < 8) grid[around]![8] = bit(i);
    else grid[8]![around] = bit(i);
    if (i < 8) grid[8]![size - 1 - i] = bit(i);
    else grid[size - 15 + i]![8] = bit(i);
  }
  grid[size - 8]![8] = true;
}

function fill(empty: Grid, words: readonly number[], mask: number): Grid {
  const grid = empty.map(row => [...row]);
  const size = grid.length;
  let at = 0;
  let up = false;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5; // the line of the clock
    up = !up;
    for (let i = 0; i < size; i++) {
      const y = up ? size - 1 - i : i;
      for (const x of [right, right - 1]) {
        if (empty[y]![x] !== undefined) continue;
        const bit = ((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
        at++;
        grid[y]![x] = (bit === 1) !== MASKS[mask]!(x, y);
      }
    }
  }
  writeFormat(grid, mask);
  return grid;
}

/** How hard it is to read: long runs, and squares of one colour. */
function penalty(grid: Grid): number {
  const size = grid.length;
  let sum = 0;
  let dark = 0;
  for (const turn of [(a: number, b: number) => grid[a]![b], (a: number, b: number) => grid[b]![a]])
    for (let a = 0; a < size; a++) {
      let run = 0;
      for (let b = 0; b < size; b++) {
        run = b && turn(a, b) === turn(a, b - 1) ? run + 1 : 1;
        sum += run === 5 ? 3 : run > 5 ? 1 : 0;
      }
    }
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      if (grid[y]![x]) dark++;
      const same = (dy: number, dx: number) => grid[y]![x] === grid[y + dy]?.[x + dx];
      if (x && same(0, -1) && same(1, 0) && same(1, -1)) sum += 3;
    }
  return sum + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** Rows of squares, true where it is dark; undefined: the text is too long. */
export function qr(text: string): boolean[][] | undefined {
  const bytes = new TextEncoder().encode(text);
  const version = VERSIONS.findIndex(([room], at) => bytes.length + (at + 1 < 10 ? 2 : 3) <= room);
  if (version < 0) return undefined;
  const empty = frame(version + 1);
  const words = codewords(bytes, version + 1);
  const grids = MASKS.map((_, mask) => fill(empty, words, mask));
  const costs = grids.map(penalty);
  return grids[costs.indexOf(Math.min(...costs))] as boolean[][];
}
