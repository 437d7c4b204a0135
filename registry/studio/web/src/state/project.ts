// The project: the tree of pieces, which of them is chosen, and the settings. It is a value that is replaced, never
// changed, so that undoing is going back to an earlier one.
import type { Candidate, ModelIdentity, Note, Posted } from "../api/types";

export type Origin = "composed" | "continued" | "infilled" | "sample" | "shared";

/** What was composed anew in a given piece. */
export interface Infilled {
  begin: number;
  end: number;
  /** None: all that play. */
  instruments: string[];
}

/** A node of the tree. */
export interface Piece {
  id: string;
  parent: string | null;
  /** Shared by those that were composed together. */
  batch: string;
  title: string;
  origin: Origin;
  digest: string;
  link: string | null;
  model: ModelIdentity;
  /** By which others like it are composed; null for a ready-made sample. */
  posted: Posted | null;
  /** Seconds from the beginning that were given: the prompt, or what was kept of its parent. */
  kept: number;
  infilled: Infilled | null;
  candidate: Candidate;
  /** Milliseconds since 1970. */
  made: number;
}

export interface Upload {
  name: string;
  base64: string;
}

export type Start = "nothing" | "opening" | "midi";

export interface Settings {
  style: string | null;
  /** Style that is blended in. */
  second: string | null;
  /** Its weight, 0 to 1. */
  mix: number;
  instruments: string[];
  require: boolean;
  /** Null: the model's own. */
  temperature: number | null;
  topP: number | null;
  /** That are composed, behind what is given. */
  seconds: number;
  /** Null: the model's own. */
  tempo: number | null;
  /** Sections by letter; empty: none comes back; null: the model's own. */
  form: string | null;
  completions: number;
  /** Null: another one each time. */
  seed: number | null;
  start: Start;
  opening: string | null;
  upload: Upload | null;
  /** Seconds of opening or upload that are taken. */
  promptSeconds: number;
}

export interface Project {
  name: string;
  pieces: Readonly<Record<string, Piece>>;
  /** Id of the piece that is chosen. */
  current: string | null;
  settings: Settings;
}

export const DEFAULTS: Settings = {
  style: null,
  second: null,
  mix: 0.5,
  instruments: [],
  require: false,
  temperature: null,
  topP: null,
  seconds: 20,
  tempo: null,
  form: null,
  completions: 4,
  seed: null,
  start: "nothing",
  opening: null,
  upload: null,
  promptSeconds: 8,
};

export function emptyProject(name: string): Project {
  return { name, pieces: {}, current: null, settings: DEFAULTS };
}

/** Return the pieces that go on from one, the oldest first; of null the beginnings. */
export function childrenOf(project: Project, id: string | null): Piece[] {
  return Object.values(project.pieces).filter((piece) => piece.parent === id);
}

/** Return a piece and all that goes on from it. */
export function branchOf(project: Project, id: string): Piece[] {
  const piece = project.pieces[id];
  if (piece === undefined) return [];
  return [piece, ...childrenOf(project, id).flatMap((child) => branchOf(project, child.id))];
}

/** Return the project without a piece and what goes on from it; a neighbour or the parent is chosen instead. */
export function without(project: Project, id: string): Project {
  const gone = new Set(branchOf(project, id).map((piece) => piece.id));
  const pieces = Object.fromEntries(Object.entries(project.pieces).filter(([each]) => !gone.has(each)));
  const next = { ...project, pieces };
  if (project.current === null || !gone.has(project.current)) return next;
  const removed = project.pieces[id];
  const parent = removed?.parent ?? null;
  const siblings = childrenOf(next, parent);
  const same = siblings.filter((piece) => piece.batch === removed?.batch);
  return { ...next, current: (same[0] ?? siblings.at(-1))?.id ?? parent };
}

/** Return true for a note that the piece was given, false for one that was composed. */
export function isGiven(piece: Piece, note: Note): boolean {
  const changed = piece.infilled;
  if (changed === null) return note[0] < piece.kept - 1e-3;
  const isIn = note[0] >= changed.begin - 1e-3 && note[0] < changed.end;
  return !(isIn && (changed.instruments.length === 0 || changed.instruments.includes(note[4])));
}
