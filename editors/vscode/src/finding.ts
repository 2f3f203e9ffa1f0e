/** Which server to start: the first candidate that answers, in an order that a user can predict. */

/** A command line that may start the server, and where we know it from. */
export interface Candidate {
  /** For people: "the setting santa.interpreter". */
  readonly origin: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the user asked for exactly this one, so that no other may take its place. */
  readonly chosen: boolean;
}

export interface Server extends Candidate {
  readonly version: string;
}

/** The version that a candidate answers with. Rejects with a reason for people. */
export type Probe = (candidate: Candidate) => Promise<string>;

/** No candidate answers. `chosen` is set when it is one the user asked for. */
export class ServerMissing extends Error {
  constructor(
    message: string,
    readonly chosen: boolean,
  ) {
    super(message);
  }
}

/** What there is to choose from; an empty string stands for nothing. */
export interface Places {
  readonly interpreterSetting: string;
  readonly programSetting: string;
  readonly pythonExtension: string;
  readonly ownEnvironment: string;
  readonly pathInterpreters: readonly string[];
}

export function viaInterpreter(origin: string, interpreter: string, chosen = false): Candidate {
  return { origin, command: interpreter, args: ['-m', 'santa_lsp'], chosen };
}

/** Settings first, then what is nearer to the user's work, then what is there by chance. */
export function candidates(places: Places): Candidate[] {
  const { interpreterSetting, programSetting, pythonExtension, ownEnvironment } = places;
  if (programSetting) {
    return [{ origin: 'the setting santa.server.path', command: programSetting, args: [], chosen: true }];
  }
  if (interpreterSetting) {
    return [viaInterpreter('the setting santa.interpreter', interpreterSetting, true)];
  }
  return [
    ...(pythonExtension ? [viaInterpreter("the Python extension's environment", pythonExtension)] : []),
    ...(ownEnvironment ? [viaInterpreter("Santa's own environment", ownEnvironment)] : []),
    ...places.pathInterpreters.map((name) => viaInterpreter(`${name} on the PATH`, name)),
    { origin: 'santa-lsp on the PATH', command: 'santa-lsp', args: [], chosen: false },
  ];
}

/** The first candidate that answers. Rejects with ServerMissing when none does. */
export async function findServer(among: readonly Candidate[], probe: Probe): Promise<Server> {
  const reasons: string[] = [];
  for (const candidate of among) {
    try {
      return { ...candidate, version: await probe(candidate) };
    } catch (error) {
      reasons.push(`${candidate.origin}: ${(error as Error).message}`);
    }
  }
  throw new ServerMissing(reasons.join('; '), among.some((candidate) => candidate.chosen));
}
