// From settings and a chosen piece to what is posted.
import type { Model, PieceFields, Posted } from "../api/types";
import { DEFAULTS, type Infilled, type Piece, type Settings } from "./project";

/** Seeds that are drawn are smaller. */
const SEEDS = 2 ** 31;

export function drawnSeed(): number {
  return Math.floor(Math.random() * SEEDS);
}

/** Return how pieces are drawn, without what they begin with. */
function drawing(settings: Settings, model: Model): PieceFields {
  const completions = Math.min(settings.completions, model.limits.candidates);
  const fields: PieceFields = { seed: settings.seed ?? drawnSeed(), best_of: completions };
  if (settings.temperature !== null) fields.temperature = settings.temperature;
  if (settings.topP !== null) fields.top_p = settings.topP;
  return { ...fields, ...styleOf(settings, model) };
}

/** Return style or blend, without styles that the model lacks. */
function styleOf(settings: Settings, model: Model): PieceFields {
  const [style, second] = [settings.style, settings.second].map((name) => (name !== null && model.styles.includes(name) ? name : null));
  if (style == null) return {};
  if (second == null || second === style || settings.mix <= 0) return { style };
  const weight = Math.min(settings.mix, 1);
  if (weight === 1) return { style: second };
  return { blend: `${style}=${(1 - weight).toFixed(2)}, ${second}=${weight.toFixed(2)}` };
}

function instrumentsOf(settings: Settings, model: Model): PieceFields {
  const known = new Set([...model.groups, ...model.instruments.map((instrument) => instrument.name)]);
  const chosen = settings.instruments.filter((name) => known.has(name));
  return chosen.length === 0 ? {} : { instruments: chosen, require: settings.require };
}

/** Return the form, which is of bars: a model whose time is in seconds knows none. */
function formOf({ form }: Settings, model: Model): PieceFields {
  if (form === null || model.time !== "beats") return {};
  return form === "" ? { recall: 0 } : { form };
}

/** Return the request of the simple view: one piece, without the settings that only the advanced view shows. */
export function composedSimply({ style, seconds, start, opening, upload, promptSeconds }: Settings, model: Model): Posted {
  return composed({ ...DEFAULTS, style, seconds, start, opening, upload, promptSeconds, completions: 1 }, model);
}

/** Return the request for a new piece. */
export function composed(settings: Settings, model: Model): Posted {
  const body: PieceFields = { ...drawing(settings, model), ...instrumentsOf(settings, model), ...formOf(settings, model) };
  let given = 0;
  if (settings.start === "opening" && settings.opening !== null) body.opening = settings.opening;
  if (settings.start === "midi" && settings.upload !== null) body.prompt = settings.upload.base64;
  if (body.opening !== undefined || body.prompt !== undefined) {
    given = settings.promptSeconds;
    body.prompt_seconds = given;
  } else if (settings.tempo !== null) {
    body.tempo = settings.tempo;
  }
  body.seconds = Math.min(given + settings.seconds, model.limits.seconds);
  return { path: "/v1/compose", body };
}

/** Return the request that goes on from a piece; `at`: seconds of it that are kept, null for all. */
export function continued(piece: Piece, at: number | null, settings: Settings, model: Model): Posted {
  const seconds = Math.min((at ?? piece.candidate.seconds) + settings.seconds, model.limits.seconds);
  const changes = { ...drawing(settings, model), ...instrumentsOf(settings, model), ...formOf(settings, model), seconds };
  return { path: "/v1/continue", body: { node: piece.candidate.node, ...(at === null ? {} : { at_seconds: at }), changes } };
}

/** Return the request for a piece of which a part is composed anew. */
export function infilled(piece: Piece, part: Infilled, settings: Settings, model: Model): Posted {
  const first = piece.candidate.notes[0]?.[0] ?? 0;
  const from = (seconds: number) => `${Math.max(seconds - first, 0).toFixed(3)}s`;
  const ends = part.end >= piece.candidate.seconds - 1e-3;
  const body: PieceFields = {
    ...drawing(settings, model),
    prompt: piece.candidate.node.tokens,
    infill: `${from(part.begin)}-${ends ? "" : from(part.end)}`,
  };
  if (part.instruments.length > 0) body.replace = part.instruments;
  return { path: "/v1/infill", body };
}

/** Return a request with another seed. */
export function again(posted: Posted, seed: number | null): Posted {
  const drawn = seed ?? drawnSeed();
  if (posted.path === "/v1/continue") {
    return { path: posted.path, body: { ...posted.body, changes: { ...posted.body.changes, seed: drawn } } };
  }
  return { path: posted.path, body: { ...posted.body, seed: drawn } };
}
