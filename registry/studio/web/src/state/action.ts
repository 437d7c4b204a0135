// What the advanced view is about to do: a new piece, going on from a place, or a part composed anew.
import { computed, signal } from "@preact/signals";
import { player } from "../player/player";
import { compose, job } from "./composing";
import { current, set, settings } from "./history";
import type { Infilled } from "./project";
import { composed, continued, infilled } from "./requests";
import { isReady, model } from "./server";
import { texts } from "../texts";

export const ACTIONS = ["begin", "go-on", "change"] as const;
export type Action = (typeof ACTIONS)[number];

export const action = signal<Action>("begin");
/** Seconds of the chosen piece that are kept, by its id; where it is cut, if it is not at its end. */
const cuts = signal<ReadonlyMap<string, number>>(new Map());
/** Instruments that are composed anew; none: all. */
export const parts = signal<readonly string[]>([]);
/** Seconds before the end of a piece that has ended, to which it is cut where nothing else is said. */
const BEFORE_END = 2;
/** Seconds that are composed anew at least. */
const SHORTEST = 0.25;

export const cut = computed(() => {
  const piece = current.value;
  if (piece === null) return 0;
  const { seconds, has_ended } = piece.candidate;
  return cuts.value.get(piece.id) ?? (has_ended ? Math.max(seconds - BEFORE_END, seconds / 2) : seconds);
});

export function setCut(seconds: number): void {
  const piece = current.value;
  if (piece !== null) cuts.value = new Map(cuts.value).set(piece.id, seconds);
}

/** The span that is composed anew: what is selected, else all of the chosen piece. */
export const part = computed<Infilled | null>(() => {
  const piece = current.value;
  if (piece === null) return null;
  const span = player.music.value?.id === piece.id ? player.span.value : null;
  const { begin, end } = span ?? { begin: 0, end: piece.candidate.seconds };
  const sounding = new Set(piece.candidate.notes.map((note) => note[4]));
  return { begin, end, instruments: parts.value.filter((name) => sounding.has(name)) };
});

/** Why it cannot be done now; null if it can. */
export const hindrance = computed<string | null>(() => {
  const { start, opening, upload } = settings.value;
  const piece = current.value;
  if (!isReady.value || model.value === null) return texts.connection.away;
  if (job.value !== null) return texts.actions.busy;
  if (action.value === "begin") {
    if (start === "opening" && opening === null) return texts.start.chooseOpening;
    return start === "midi" && upload === null ? texts.start.chooseFile : null;
  }
  if (piece === null) return texts.actions.choose;
  if (piece.model.digest !== model.value.digest) return texts.actions.otherModel(piece.model.version ?? "");
  if (action.value === "go-on") return cut.value >= model.value.limits.seconds ? texts.actions.full : null;
  const span = part.value;
  if (span === null || span.end - span.begin < SHORTEST) return texts.actions.select;
  const isWhole = span.begin <= 0 && span.end >= piece.candidate.seconds;
  return isWhole && span.instruments.length === 0 ? texts.actions.select : null;
});

/** True if the chosen piece is of another version of the model, so that only its music can be taken on. */
export const isOfOtherModel = computed(() => {
  const [piece, served] = [current.value, model.value];
  return action.value !== "begin" && piece !== null && served !== null && piece.model.digest !== served.digest;
});

/** Begin a new piece with the music of the chosen one. */
export function beginWithIt(): void {
  const piece = current.value;
  if (piece === null) return;
  const promptSeconds = Math.max(Math.floor(piece.candidate.seconds), 1);
  set({ start: "midi", upload: { name: piece.title, base64: piece.candidate.midi }, promptSeconds });
  action.value = "begin";
}

/** Do it. */
export function act(): void {
  const [served, piece, chosen] = [model.value, current.value, settings.value];
  if (served === null || hindrance.value !== null) return;
  void player.load();
  if (action.value === "begin" || piece === null) {
    void compose({ posted: composed(chosen, served), parent: null, origin: "composed", plays: false });
  } else if (action.value === "go-on") {
    const isAll = !piece.candidate.has_ended && cut.value >= piece.candidate.seconds - 0.01;
    const posted = continued(piece, isAll ? null : cut.value, chosen, served);
    void compose({ posted, parent: piece.id, origin: "continued", plays: false });
  } else if (part.value !== null) {
    const posted = infilled(piece, part.value, chosen, served);
    void compose({ posted, parent: piece.id, origin: "infilled", infilled: part.value, plays: false });
  }
}
