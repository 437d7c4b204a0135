// A composition that is under way: what has come of it, and how it becomes pieces of the tree.
import { signal } from "@preact/signals";
import { isAbort, Lost, Refused } from "../api/client";
import { events } from "../api/events";
import type { Answer, Event, Note, Posted } from "../api/types";
import { player } from "../player/player";
import { texts } from "../texts";
import { change } from "./history";
import { say } from "./messages";
import type { Infilled, Origin, Piece } from "./project";
import { connection, notice, untilReady } from "./server";

/** A completion that grows. */
export interface Growing {
  number: number;
  /** Sorted by onset, with those that it begins with. */
  notes: Note[];
  seconds: number;
  isGrowing: boolean;
}

export interface Job {
  id: string;
  posted: Posted;
  parent: string | null;
  origin: Origin;
  infilled: Infilled | null;
  state: "sent" | "queued" | "composing" | "ranking" | "waiting";
  position: number;
  /** Seconds that are given. */
  kept: number;
  growing: readonly Growing[];
  /** 0 to 1. */
  share: number;
}

/** The composition that is under way. */
export const job = signal<Job | null>(null);
let abort: AbortController | null = null;

export function cancel(): void {
  abort?.abort();
}

/** The name under which the player plays a completion that grows. */
export function growingId(id: string, number: number): string {
  return `${id}:${number}`;
}

/** What is asked for. */
export interface Wish {
  posted: Posted;
  parent: string | null;
  origin: Origin;
  infilled?: Infilled;
  /** Play it as it grows. */
  plays: boolean;
}

/** Compose; what comes of it are pieces of the tree. A lost connection is waited for, and the same asked again. */
export async function compose(wish: Wish): Promise<void> {
  cancel();
  const controller = new AbortController();
  abort = controller;
  const id = crypto.randomUUID();
  const { posted, parent, origin } = wish;
  const first: Job = { id, posted, parent, origin, infilled: wish.infilled ?? null, state: "sent", position: 0, kept: 0, growing: [], share: 0 };
  job.value = first;
  try {
    while (!(await attempt(first, wish.plays, controller.signal))) {
      if (job.value?.id === id) job.value = { ...job.value, state: "waiting" };
      await untilReady(controller.signal);
    }
  } catch (error) {
    notice(error);
    if (!isAbort(error)) say(error instanceof Error ? error.message : texts.errors.unknown, "error");
    player.forget(id);
  } finally {
    if (job.value?.id === id) job.value = null;
    if (abort === controller) abort = null;
  }
}

/** Ask once. Return false where the connection was lost. Throws what else goes wrong. */
async function attempt(first: Job, plays: boolean, signal: AbortSignal): Promise<boolean> {
  try {
    for await (const event of events(first.posted, signal)) {
      if (job.value?.id !== first.id) return true;
      if (event.event === "finished") finish(job.value, event.data);
      else if (event.event === "failed") throw new Refused(200, event.data.error, null);
      else take(event, plays);
    }
    return true;
  } catch (error) {
    const isAway = error instanceof Lost || (error instanceof Refused && error.status === 503);
    if (!isAway) throw error;
    notice(error);
    if (connection.value === "ready") connection.value = "lost";
    return false;
  }
}

function take(event: Exclude<Event, { event: "finished" | "failed" }>, plays: boolean): void {
  const now = job.value;
  if (now === null) return;
  if (event.event === "queued") job.value = { ...now, state: "queued", position: event.data.position };
  else if (event.event === "ranking") job.value = { ...now, state: "ranking", share: 1 };
  else if (event.event === "begun") {
    const { candidates, prompt, seconds, notices } = event.data;
    notices.forEach((line) => say(line, "note"));
    const growing = candidates.map((number) => ({ number, notes: [...prompt], seconds, isGrowing: true }));
    job.value = { ...now, state: "composing", kept: seconds, growing };
    const first = candidates[0];
    if (plays && first !== undefined && !player.knows(now.id)) listen(now.id, first);
  } else if (event.event === "notes") {
    const { candidate, notes, seconds } = event.data;
    const growing = now.growing.map((each) =>
      each.number === candidate ? { ...each, notes: merged(each.notes, notes), seconds: Math.max(seconds, each.seconds) } : each,
    );
    job.value = { ...now, growing };
    const grown = growing.find((each) => each.number === candidate);
    if (grown !== undefined) player.grow(growingId(now.id, candidate), grown.notes, grown.seconds);
  } else {
    const { tokens, total, candidates } = event.data;
    const growing = now.growing.map((each) => ({ ...each, isGrowing: candidates.includes(each.number) }));
    job.value = { ...now, growing, share: total > 0 ? Math.min(tokens / total, 1) : 0 };
  }
}

/** Hear a completion while it grows. */
export function listen(id: string, number: number): void {
  const grown = job.value?.growing.find((each) => each.number === number);
  if (grown === undefined) return;
  player.open({ id: growingId(id, number), title: texts.candidates.growing(number + 1), notes: grown.notes, seconds: grown.seconds, isGrowing: true });
  player.play();
}

/** Return two lists of notes as one, by onset. */
function merged(notes: readonly Note[], more: readonly Note[]): Note[] {
  return [...notes, ...more].sort((a, b) => a[0] - b[0]);
}

/** Add what was composed to the tree, and choose the best; what is heard goes on. */
function finish(done: Job, answer: Answer): void {
  if (answer.message !== null) say(answer.message, "note");
  const heard = player.music.value?.id ?? "";
  const pieces = piecesOf(answer, done);
  for (const piece of pieces) {
    if (heard === growingId(done.id, piece.candidate.number)) player.finish(heard, musicOf(piece));
  }
  const chosen = pieces.find((piece) => piece.id === player.music.value?.id) ?? pieces[0];
  change((project) => ({
    ...project,
    pieces: { ...project.pieces, ...Object.fromEntries(pieces.map((piece) => [piece.id, piece])) },
    current: chosen?.id ?? project.current,
  }));
}

/** Return the pieces of an answer, the best first. */
export function piecesOf(answer: Answer, made: Pick<Job, "posted" | "parent" | "origin" | "infilled" | "kept"> | Shared): Piece[] {
  const batch = crypto.randomUUID();
  return answer.candidates.map((candidate, place) => ({
    id: crypto.randomUUID(),
    parent: made.parent,
    batch,
    title: texts.tree.titleOf(made.origin, answer.request, candidate.number),
    origin: made.origin,
    digest: answer.digest,
    link: answer.link,
    model: answer.model,
    posted: made.posted,
    kept: made.kept,
    infilled: made.infilled,
    candidate,
    made: Date.now() + place / 1000,
  }));
}

/** A piece that was not composed now. */
export interface Shared {
  posted: null;
  parent: null;
  origin: "sample" | "shared";
  infilled: null;
  kept: number;
}

/** Return a piece as the player plays it. */
export function musicOf(piece: Piece): { id: string; title: string; notes: Note[]; seconds: number; isGrowing: false } {
  const { notes, seconds } = piece.candidate;
  return { id: piece.id, title: piece.title, notes, seconds, isGrowing: false };
}
