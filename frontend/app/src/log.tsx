// A list that grows at its end, and stays there unless one has scrolled away.

import { useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { useWords } from './settings.js';

const NEAR_PX = 48;

export function Log(props: {
  label: string;
  /** Grows with every entry. */
  count: number;
  empty: string;
  /** There is nothing but notes. */
  quiet: boolean;
  children: ReactNode;
}): ReactNode {
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [seen, setSeen] = useState(0);
  const { count } = props;

  function toEnd(): void {
    box.current?.scrollTo({ top: box.current.scrollHeight });
    setSeen(count);
  }

  useLayoutEffect(() => {
    if (atEnd.current) toEnd();
  }, [count]);

  // It gets lower when something opens below it.
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => {
      if (atEnd.current) box.current?.scrollTo({ top: box.current.scrollHeight });
    });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);

  function onScroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = box.current!;
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (atEnd.current) setSeen(count);
  }

  return (
    <section className="card stream">
      <div
        className="log"
        ref={box}
        role="log"
        aria-live="polite"
        aria-label={props.label}
        tabIndex={0}
        onScroll={onScroll}
      >
        {props.quiet && <p className="empty muted">{props.empty}</p>}
        <ol>{props.children}</ol>
      </div>
      {count > seen && !atEnd.current && (
        <button type="button" className="small main more" onClick={toEnd}>
          {words.newMessages(count - seen)}
        </button>
      )}
    </section>
  );
}
