/** Whether a server that ended by itself is started again. */

/** A second end within this time is no accident. */
export const RESTART_WINDOW_MS = 3 * 60_000;

export class Restarts {
  private last = -Infinity;

  /** True once, then not again until a while has passed. `now` in milliseconds. */
  allow(now: number): boolean {
    const allowed = now - this.last >= RESTART_WINDOW_MS;
    if (allowed) {
      this.last = now;
    }
    return allowed;
  }
}
