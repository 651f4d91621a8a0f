// A list that grows at its end, and stays there unless one has scrolled away: then what one reads
// stays as it is, whatever comes and goes, and a button tells how much is new.

import { useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { useWords } from './settings.js';

/** Who comes back so near to the end, is there. */
const NEAR_PX = 48;
/** Heights are fractions. */
const SLACK_PX = 2;
/** So near to its beginning, older ones are asked for. */
const OLDER_PX = 240;

interface Keyed {
  key: string;
}

/** What is shown to who has scrolled away: what was there then, and what is older. */
function keep<E extends Keyed>(held: readonly E[], entries: readonly E[]): readonly E[] {
  // Not by the first one: the line of a day stays before whatever is the first of it.
  const at = entries.findIndex(({ key }) => key === held[1]?.key);
  return at > 1 ? [...entries.slice(0, at), ...held.slice(1)] : held;
}

/** How many came since; not exact if the last one shown is gone from the list. */
function countNew<E extends Keyed>(shown: readonly E[], entries: readonly E[]) {
  const last = shown.at(-1)?.key;
  const at = entries.map(({ key }) => key).lastIndexOf(last ?? '');
  return { count: entries.length - 1 - at, exact: at >= 0 };
}

export function Log<E extends Keyed>(props: {
  label: string;
  entries: readonly E[];
  row(entry: E): ReactNode;
  empty: string;
  /** There is nothing but notes. */
  quiet: boolean;
  /** Grows when one says something oneself: then one wants to see it. */
  said: number;
  older?: { has: boolean; load(): Promise<void> };
  onSeen?(): void;
}): ReactNode {
  const words = useWords();
  const { entries, older, said, onSeen } = props;
  const box = useRef<HTMLDivElement>(null);
  const before = useRef({ first: '', height: 0 });
  const [held, setHeld] = useState<readonly E[]>();
  const [hadSaid, setHadSaid] = useState(said);
  if (said !== hadSaid) {
    setHadSaid(said);
    if (said > hadSaid) setHeld(undefined);
  }
  const shown = held ? keep(held, entries) : entries;
  const { count, exact } = countNew(shown, entries);

  const toEnd = () => box.current?.scrollTo({ top: box.current.scrollHeight });

  useLayoutEffect(() => {
    const element = box.current!;
    const first = shown[1]?.key ?? ''; // as in keep()
    // What is older comes above what one reads, which stays in its place.
    if (!held) toEnd();
    else if (first !== before.current.first)
      element.scrollTop += element.scrollHeight - before.current.height;
    before.current = { first, height: element.scrollHeight };
    if (!held) onSeen?.();
  }, [shown, held]);

  // It gets lower when something opens below it.
  const atEnd = useRef(true);
  atEnd.current = !held;
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => atEnd.current && toEnd());
    observer.observe(box.current!);
    observer.observe(box.current!.querySelector('ol')!);
    return () => observer.disconnect();
  }, []);

  const lastTop = useRef(0);

  function onScroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = box.current!;
    const left = scrollHeight - scrollTop - clientHeight;
    const up = scrollTop < lastTop.current;
    lastTop.current = scrollTop;
    if (held && !up && left < NEAR_PX) setHeld(undefined);
    if (!held && up && left > SLACK_PX) {
      atEnd.current = false; // before a row that comes into sight gets its height
      setHeld(entries);
    }
    if (scrollTop < OLDER_PX && left > NEAR_PX && older?.has) void older.load();
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
        {older?.has && (
          <button
            type="button"
            className="small older"
            onClick={() => {
              setHeld(shown);
              void older.load();
            }}
          >
            {words.older}
          </button>
        )}
        {props.quiet && <p className="empty muted">{props.empty}</p>}
        <ol>{shown.map(props.row)}</ol>
      </div>
      {held && count > 0 && (
        <button type="button" className="small main more" onClick={() => setHeld(undefined)}>
          {words.newMessages(count, exact)}
        </button>
      )}
    </section>
  );
}
