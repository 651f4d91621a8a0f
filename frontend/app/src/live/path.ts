// The shape of a chart: where its lines run, and how high it is.

export const WIDTH = 240;
export const HEIGHT = 64;
/** How long it reaches back. */
export const SPAN_MS = 120_000;

/** Longer than a look that is late. */
const BREAK_MS = 5000;

export interface Series {
  label: string;
  /** By time; undefined: nothing was measured, and the line breaks. */
  points: readonly { at: number; value: number | undefined }[];
}

function round(value: number): string {
  return value.toFixed(1);
}

/** Runs of measured points, as a path. A lone one is a dot: a line of no length with round ends. */
export function pathOf(points: Series['points'], now: number, top: number): string {
  let path = '';
  let drawing = false;
  let before = -Infinity;
  for (const { at, value } of points) {
    if (at - before > BREAK_MS) drawing = false; // nobody looked meanwhile
    before = at;
    if (value === undefined) {
      drawing = false;
      continue;
    }
    const x = round(WIDTH * (1 - (now - at) / SPAN_MS));
    const y = round(HEIGHT - 2 - (HEIGHT - 4) * (value / top));
    path += drawing ? `L${x} ${y}` : `M${x} ${y}h0`;
    drawing = true;
  }
  return path;
}

/** The next round number. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map(n => n * power).find(n => n >= value * 0.999_999)!;
}
