/** What the status bar says. */

/** The notification `santa/status`. */
export interface ServerStatus {
  readonly state: 'loading' | 'ready' | 'failed';
  readonly model: string;
  readonly device: string;
  /** How long the last computed completion took; 0 before the first. */
  readonly latencyMs: number;
  readonly accepted: number;
  /** Those that are completed, by language identifier; `*` is all. */
  readonly languages?: readonly string[];
  readonly failure: string;
}

export interface Activity {
  /** Why nothing is suggested, for people; empty when Santa is on. */
  readonly off: string;
  /** Why there is no server, for people; empty when there is one. */
  readonly missing: string;
  /** What the server said last; undefined while it starts. */
  readonly status: ServerStatus | undefined;
  /** How far the loading is, or what goes on before there is a server, for people. */
  readonly progress: string;
  readonly thinking: boolean;
}

export interface StatusText {
  readonly text: string;
  readonly tooltip: string;
  readonly alarming: boolean;
}

export function statusText(activity: Activity): StatusText {
  const { off, missing, status, progress, thinking } = activity;
  const say = (icon: string, tooltip: string, more = '', alarming = false): StatusText => ({
    text: `$(${icon}) Santa${more}`,
    tooltip,
    alarming,
  });
  if (missing) {
    return say('warning', `No server: ${missing}`, '', true);
  }
  if (status?.state === 'failed') {
    return say('warning', `The model is not loaded: ${status.failure}`, '', true);
  }
  if (off) {
    return say('circle-slash', `Off: ${off}`);
  }
  if (!status) {
    return say('loading~spin', progress || 'The server starts');
  }
  const served = details(status);
  if (status.state === 'loading') {
    return say('loading~spin', `Loading ${served}`, progress && ` ${progress}`);
  }
  return thinking ? say('loading~spin', `Thinking\n\n${served}`) : say('gift', `Ready\n\n${served}`);
}

function details(status: ServerStatus): string {
  const lines = [`Model: ${status.model}`, `Device: ${status.device}`];
  if (status.latencyMs > 0) {
    lines.push(`Last completion: ${Math.round(status.latencyMs)} ms`);
  }
  if (status.accepted > 0) {
    lines.push(`Accepted: ${status.accepted}`);
  }
  return lines.join('\n\n');
}
