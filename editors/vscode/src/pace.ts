/** When a growing completion is worth showing: each showing replaces the text, so not at every token. */

/** Milliseconds between two showings. */
export const PACE_MS = 200;

export class Pace {
  private shown = '';

  /** `start`: when the completion was asked for, in milliseconds. */
  constructor(private last: number) {}

  /**
   * Whether to show `text` now. A quick completion is shown once, whole: the first piece waits for
   * the end of a line, or for PACE_MS since the request.
   */
  due(text: string, now: number): boolean {
    const firstLine = !this.shown && text.trim() !== '' && text.trimStart().includes('\n');
    if (text === this.shown || !(firstLine || now - this.last >= PACE_MS)) {
      return false;
    }
    this.last = now;
    this.shown = text;
    return true;
  }
}
