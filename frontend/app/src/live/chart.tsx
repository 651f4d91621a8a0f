// One or two lines over the last two minutes, the newest at the right edge.

import type { ReactNode } from 'react';
import { useWords } from '../settings.js';
import { HEIGHT, pathOf, roundUp, WIDTH, type Series } from './path.js';

export function Chart(props: {
  title: string;
  /** What it shows now. */
  now: string;
  more?: string | undefined;
  series: readonly Series[];
  least: number;
  format(value: number): string;
  empty?: string | undefined;
}): ReactNode {
  const words = useWords();
  const { title, series } = props;
  const values = series.flatMap(({ points }) => points.flatMap(({ value }) => value ?? []));
  const top = roundUp(Math.max(props.least, ...values));
  const end = Math.max(0, ...series.flatMap(({ points }) => points.at(-1)?.at ?? 0));
  return (
    <section className="card chart">
      <h3>{title}</h3>
      <p className="now">
        <b>{props.now}</b> {props.more && <span className="muted">{props.more}</span>}
      </p>
      {values.length === 0 && props.empty ? (
        <p className="muted none">{props.empty}</p>
      ) : (
        <div className="plot">
          <span className="top muted">{props.format(top)}</span>
          <svg
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={words.chart(title, [props.now, props.more].filter(Boolean).join(', '))}
          >
            <path
              className="grid"
              d={`M0 2H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 2}H${WIDTH}`}
            />
            {series.map(({ label, points }) => (
              <path key={label} className="line" d={pathOf(points, end, top)} />
            ))}
          </svg>
        </div>
      )}
      {series.length > 1 && values.length > 0 && (
        <ul className="legend muted">
          {series.map(({ label }) => (
            <li key={label}>{label}</li>
          ))}
        </ul>
      )}
    </section>
  );
}
