import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const css = ['../../base.css', '../src/style.css']
  .map(path => readFileSync(new URL(path, import.meta.url), 'utf8'))
  .join('');
const page = readFileSync(new URL('../../../docs/design-page.md', import.meta.url), 'utf8');
const colours = Object.fromEntries(
  [...css.matchAll(/(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(
    ([, name, light, dark]) => [name!, [light!, dark!] as const],
  ),
);

/** WCAG 2.2: relative luminance. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map(at => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

const themes = [0, 1] as const;
const on = ['--bg', '--surface', '--tint'];
const texts = ['--text', '--muted', '--accent', '--bad'].flatMap(text =>
  on.map(ground => [text, ground, 4.5] as const),
);
const shapes = ['--edge', '--second'].map(shape => [shape, '--surface', 3] as const);

it.each([...texts, ...shapes, ['--on-accent', '--accent', 4.5] as const])(
  '%s on %s has a contrast of at least %d',
  (front, back, least) => {
    for (const theme of themes)
      expect(contrast(colours[front]![theme], colours[back]![theme])).toBeGreaterThanOrEqual(least);
  },
);

it('is what docs/design-page.md says', () => {
  const rows = [...page.matchAll(/\| `(--[\w-]+)` \| `(#\w+)` \| `(#\w+)` \|/g)];
  expect(Object.fromEntries(rows.map(([, name, light, dark]) => [name, [light, dark]]))).toEqual(
    colours,
  );
  const sizes = [...css.matchAll(/--t\d: (\d+)px\/(\d+)px/g)].map(found =>
    found.slice(1).join('/'),
  );
  const told = [...page.matchAll(/\| `--t\d` \| (\S+) \|/g)].map(found => found[1]);
  expect(told).toEqual(sizes);
});

it('stays on the grid of 4 px, but for lines and what is hidden', () => {
  const spaces = [...css.matchAll(/\b(?:padding|margin|gap|height)[\w-]*: ([^;]+);/g)].flatMap(
    ([, value]) => [...value!.matchAll(/\b(\d+)px/g)].map(found => Number(found[1])),
  );
  expect(spaces.filter(px => px % 4 && px > 2)).toEqual([]);
});
