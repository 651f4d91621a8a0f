// The server's /metrics (Prometheus text): samples, and what two of them tell together.

/** When it was taken, in ms, and each value by its name with its labels, as it is printed. */
export interface Sample {
  at: number;
  values: ReadonlyMap<string, number>;
}

const PREFIX = 'pushwire_';

export function parseMetrics(text: string, at: number): Sample {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const end = line.lastIndexOf(' ');
    if (end > 0 && line.startsWith(PREFIX)) {
      values.set(line.slice(PREFIX.length, end), Number(line.slice(end + 1)));
    }
  }
  return { at, values };
}

const nameOf = (key: string): string => key.split('{', 1)[0]!;

/** Over all labels, or over those with this one, as `state="behind"`; undefined: there is no such. */
export function sum({ values }: Sample, name: string, label = ''): number | undefined {
  let total: number | undefined;
  for (const [key, value] of values) {
    if (nameOf(key) === name && key.includes(label)) total = (total ?? 0) + value;
  }
  return total;
}

export function labelOf({ values }: Sample, name: string, label: string): string | undefined {
  const key = [...values.keys()].find(one => nameOf(one) === name);
  return new RegExp(`[{,]${label}="([^"]*)"`).exec(key ?? '')?.[1];
}

/** What a counter grew by a second. One that fell began anew with the server. */
export function rate(before: Sample, after: Sample, name: string): number | undefined {
  const [from, to] = [sum(before, name), sum(after, name)];
  const seconds = (after.at - before.at) / 1000;
  if (from === undefined || to === undefined || seconds <= 0 || to < from) return undefined;
  return (to - from) / seconds;
}

/** Which time so large a share of what was measured between the two stayed within, in seconds: even
 * within a bucket. Undefined: nothing was. */
export function quantile(
  before: Sample,
  after: Sample,
  name: string,
  share: number,
): number | undefined {
  const start = `${name}_bucket{le="`;
  const buckets = [...after.values]
    .filter(([key]) => key.startsWith(start))
    .map(([key, count]) => ({
      upTo: key.slice(start.length, -2) === '+Inf' ? Infinity : Number(key.slice(start.length, -2)),
      count: count - (before.values.get(key) ?? 0),
    }))
    .sort((a, b) => a.upTo - b.upTo);
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0 || buckets.some(({ count }) => count < 0)) return undefined;
  let [low, below] = [0, 0];
  for (const { upTo, count } of buckets) {
    if (count >= share * total) {
      if (upTo === Infinity) return low;
      return low + ((upTo - low) * (share * total - below)) / (count - below);
    }
    [low, below] = [upTo, count];
  }
  return undefined;
}
