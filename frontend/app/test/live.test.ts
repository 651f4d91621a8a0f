import { describe, expect, it } from 'vitest';
import { pathOf, roundUp } from '../src/live/path.js';
import { labelOf, parseMetrics, quantile, rate, sum } from '../src/live/metrics.js';

const at = (ms: number, ...lines: string[]) => parseMetrics(lines.join('\n') + '\n', ms);
const times = (ms: number, ...counts: number[]) =>
  at(
    ms,
    ...['0.001', '0.002', '+Inf'].map(
      (le, n) => `pushwire_publish_seconds_bucket{le="${le}"} ${counts[n]}`,
    ),
  );

describe('a sample', () => {
  const sample = at(
    0,
    '# HELP pushwire_sessions Open sessions.',
    'pushwire_build_info{version="0.1.0"} 1',
    'pushwire_sessions{transport="sse",state="live"} 3',
    'pushwire_sessions{transport="sse",state="behind"} 2',
    'pushwire_sessions_else 7',
    'process_cpu_seconds_total 9',
  );

  it('sums over labels, or over those with one', () => {
    expect(sum(sample, 'sessions')).toBe(5);
    expect(sum(sample, 'sessions', 'state="behind"')).toBe(2);
  });

  it('tells a label', () => {
    expect(labelOf(sample, 'build_info', 'version')).toBe('0.1.0');
  });

  it('has no value for what is not there', () => {
    expect(sum(sample, 'commit_seconds_count')).toBeUndefined();
    expect(labelOf(sample, 'nothing', 'version')).toBeUndefined();
  });
});

describe('two samples', () => {
  const total = (ms: number, n: number) => at(ms, `pushwire_published_total{kind="message"} ${n}`);

  it('tell a rate', () => {
    expect(rate(total(0, 10), total(2000, 40), 'published_total')).toBe(15);
  });

  it('tell none across a restart', () => {
    expect(rate(total(0, 10), total(1000, 3), 'published_total')).toBeUndefined();
  });

  it('tell how long things took between them', () => {
    const [before, after] = [times(0, 50, 50, 50), times(1000, 60, 80, 90)];
    expect(quantile(before, after, 'publish_seconds', 0.25)).toBeCloseTo(0.001);
    expect(quantile(before, after, 'publish_seconds', 0.5)).toBeCloseTo(0.0015);
    expect(quantile(before, after, 'publish_seconds', 0.99)).toBe(0.002); // above all buckets
  });

  it('tell no time when nothing was measured, or counting began anew', () => {
    const before = times(0, 50, 50, 50);
    expect(quantile(before, before, 'publish_seconds', 0.5)).toBeUndefined();
    expect(quantile(before, times(1, 1, 1, 1), 'publish_seconds', 0.5)).toBeUndefined();
  });
});

describe('a chart', () => {
  it('ends at its right edge and breaks where nothing was measured', () => {
    const points = [
      { at: 108_000, value: 0 },
      { at: 112_000, value: 10 },
      { at: 116_000, value: undefined },
      { at: 120_000, value: 5 },
    ];
    expect(pathOf(points, 120_000, 10)).toBe('M216.0 62.0h0L224.0 2.0M240.0 32.0h0');
  });

  it('breaks where nobody looked', () => {
    const points = [
      { at: 60_000, value: 0 },
      { at: 120_000, value: 10 },
    ];
    expect(pathOf(points, 120_000, 10)).toBe('M120.0 62.0h0M240.0 2.0h0');
  });

  it('goes up to a round number', () => {
    expect([0, 0.5, 1, 1.1, 4, 7, 1000, 1200].map(roundUp)).toEqual([
      1, 0.5, 1, 2, 4, 8, 1000, 2000,
    ]);
  });
});
