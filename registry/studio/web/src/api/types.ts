// What the server answers: the JSON of `musenet serve`.

/** Onset and duration in seconds, pitch, velocity, instrument. */
export type Note = [onset: number, duration: number, pitch: number, velocity: number, instrument: string];

export interface Instrument {
  name: string;
  group: string;
  program: number;
  drums: boolean;
  lowest: number;
  highest: number;
}

/** Whether the server takes requests: `failed` if it has no model to serve, as none could be loaded. */
export interface Readiness {
  status: "ready" | "loading" | "failed" | "draining";
  version: string | null;
}

export interface Limits {
  seconds: number;
  tokens: number;
  candidates: number;
  upload_bytes: number;
}

export interface Model {
  reference: string;
  name: string;
  version: string | null;
  digest: string;
  dataset: string;
  run: string;
  card: string;
  has_critic: boolean;
  encoding: string;
  time: string;
  context: number;
  styles: string[];
  groups: string[];
  instruments: Instrument[];
  limits: Limits;
}

export interface ModelIdentity {
  name: string;
  version: string | null;
  digest: string;
  dataset: string;
  run: string;
}

/** The state of a candidate, which is posted back as it came. */
export interface NodeState {
  tokens: string;
  [field: string]: unknown;
}

export interface Candidate {
  number: number;
  name: string;
  score: number | null;
  likelihood: number | null;
  seam: number | null;
  curve: [seconds: number, score: number][];
  seconds: number;
  tokens: number;
  has_ended: boolean;
  instruments: string[];
  /** Instruments that were asked for and do not sound; missing in projects of earlier versions. */
  unheard?: string[];
  notes: Note[];
  midi: string;
  node: NodeState;
}

export interface Answer {
  digest: string;
  link: string | null;
  complete: boolean;
  message: string | null;
  notices: string[];
  model: ModelIdentity;
  request: Record<string, unknown>;
  candidates: Candidate[];
}

export interface Style {
  name: string;
  x: number;
  y: number;
  nearest: string[];
}

export interface Opening {
  name: string;
  style: string | null;
  split: string;
  notes: number;
  seconds: number;
  is_trained_on: boolean;
}

/** A ready-made sample, without its notes. */
export interface Sample {
  name: string;
  style: string | null;
  seconds: number;
  notes: number;
}

export interface Soundfont {
  name: string;
  licence: string;
  bytes: number;
}

/** A span of a piece that stands in a training piece. */
export interface Copy {
  begin: number;
  end: number;
  notes: number;
  piece: string;
}

export interface Originality {
  /** Why nothing can be said; null where something can. */
  unknown: string | null;
  copied_notes: number;
  copies: Copy[];
}

/** Fields of a request; those that are null or missing have their defaults. */
export interface PieceFields {
  style?: string | null;
  blend?: string | null;
  instruments?: string[];
  require?: boolean;
  seconds?: number;
  tempo?: number | null;
  form?: string;
  recall?: number;
  temperature?: number | null;
  top_p?: number | null;
  best_of?: number;
  seed?: number;
  prompt?: string;
  prompt_seconds?: number;
  opening?: string;
  infill?: string;
  replace?: string[];
  add?: string[];
}

export interface ContinueFields {
  node: NodeState;
  at_seconds?: number;
  changes: PieceFields;
}

export type Path = "/v1/compose" | "/v1/continue" | "/v1/infill";

/** A request as it is posted, but for `stream`. */
export type Posted = { path: "/v1/compose" | "/v1/infill"; body: PieceFields } | { path: "/v1/continue"; body: ContinueFields };

export type Event =
  | { event: "queued"; data: { position: number } }
  | { event: "begun"; data: { model: ModelIdentity; notices: string[]; candidates: number[]; prompt: Note[]; seconds: number } }
  | { event: "notes"; data: { candidate: number; notes: Note[]; seconds: number } }
  | { event: "progress"; data: { tokens: number; total: number; candidates: number[]; seconds: Record<string, number> } }
  | { event: "ranking"; data: Record<string, never> }
  | { event: "finished"; data: Answer }
  | { event: "failed"; data: { error: string } };
