// What this tab has of the user's stream: where it is in it, and what leads it elsewhere.

import { isNewer, type Cursor } from './cursor.js';
import type { Gap } from './types.js';

export class Stream {
  readonly cursor: Cursor;
  /** Its place is known: by a session, or from the tab that has one. */
  joined = false;
  #back = false; // a gap led the cursor back
  #lastGap = '';

  constructor(cursor: Cursor) {
    this.cursor = cursor;
  }

  /** False: it is a double. */
  take(id: string): boolean {
    if (this.cursor.covers(id)) return false;
    this.cursor.move(id);
    return true;
  }

  /** After what was taken was told to all tabs. */
  save(): void {
    this.cursor.save(this.#back);
    this.#back = false;
  }

  onWelcome(at: string | undefined): void {
    if (this.cursor.at === undefined) this.cursor.move(at);
    this.cursor.save();
  }

  /** Is it news? Ahead of the cursor it moves nothing: what other addresses keep may still fill the
   * way there. Behind it, the server never gave such a cursor, and counts from there. */
  onGap(gap: Gap): boolean {
    const { at } = this.cursor;
    if (gap.channel === undefined && at && isNewer(at, gap.resumes)) {
      this.cursor.move(gap.resumes);
      this.#back = true;
    }
    // Until a message moves the cursor, each session begins with the same gap.
    const same = JSON.stringify(gap);
    const isNews = same !== this.#lastGap;
    this.#lastGap = same;
    return isNews;
  }

  /** A tab that joins begins where the others are. False: this one fell behind, as it was put aside,
   * and has the stream from its own cursor again by leading. */
  onOthers(at: string): boolean {
    if (!this.cursor.covers(at)) {
      if (this.joined) return false;
      this.cursor.move(at);
    }
    return (this.joined = true);
  }
}
