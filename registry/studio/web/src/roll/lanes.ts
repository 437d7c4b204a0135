// Where notes lie in a roll: pitches above each other, drums in a lane of their own below.
import type { Instrument, Note } from "../api/types";

/** Height of the ruler, in heights of the page's type. */
const RULER = 1.45;
/** Pixels between pitches and drums. */
export const GAP = 6;
/** Pixels above and below the notes of a roll without a ruler. */
const INSET = 7;
/** Semitones that are shown at least. */
const LEAST_PITCHES = 25;
/** Share of the height that drums take. */
const DRUM_LANE = 0.2;
const BLACK = new Set([1, 3, 6, 8, 10]);

export interface Lanes {
  lowest: number;
  highest: number;
  pitchHeight: number;
  pitchedBottom: number;
  /** Row of each drum's pitch. */
  drumKeys: Map<number, number>;
  drumTop: number;
  drumHeight: number;
}

type Box = [x: number, y: number, width: number, height: number];

export function isBlack(pitch: number): boolean {
  return BLACK.has(pitch % 12);
}

export function drumsOf(instruments: readonly Instrument[]): ReadonlySet<string> {
  return new Set(instruments.filter((each) => each.drums).map((each) => each.name));
}

/** Return the longest note's duration, by which a note that begins before the left edge may reach into the view. */
export function longest(notes: readonly Note[]): number {
  let found = 0;
  for (const note of notes) if (note[1] > found) found = note[1];
  return found;
}

/** Return the height of a ruler in pixels. */
export function rulerHeight(): number {
  return Math.round(RULER * parseFloat(getComputedStyle(document.documentElement).fontSize));
}

/** Lay out notes in a roll; `ruler`: pixels above them, 0 without a ruler. */
export function lanesOf({ notes }: { notes: readonly Note[] }, drums: ReadonlySet<string>, height: number, ruler: number): Lanes {
  let low = 127;
  let high = 0;
  const keys = new Set<number>();
  for (const [, , pitch, , instrument] of notes) {
    if (drums.has(instrument)) keys.add(pitch);
    else {
      if (pitch < low) low = pitch;
      if (pitch > high) high = pitch;
    }
  }
  if (low > high) [low, high] = [48, 72];
  const missing = Math.max(LEAST_PITCHES - (high - low + 1), 0);
  const lowest = Math.max(low - Math.ceil(missing / 2) - 1, 0);
  const highest = Math.min(high + Math.floor(missing / 2) + 1, 127);
  const top = ruler > 0 ? ruler : INSET;
  const drumHeight = keys.size > 0 ? (height - top) * DRUM_LANE : 0;
  const pitchedBottom = height - (drumHeight > 0 ? drumHeight + GAP : ruler > 0 ? 2 : INSET);
  const sorted = [...keys].sort((a, b) => b - a);
  return {
    lowest,
    highest,
    pitchHeight: (pitchedBottom - top) / (highest - lowest + 1),
    pitchedBottom,
    drumKeys: new Map(sorted.map((key, row) => [key, row])),
    drumTop: height - drumHeight,
    drumHeight,
  };
}

/** Return where a note lies in a view. */
export function boxOf([onset, duration, pitch]: Note, lanes: Lanes, view: { left: number; scale: number }, isDrum: boolean): Box {
  const x = (onset - view.left) * view.scale;
  if (isDrum) {
    const height = lanes.drumHeight / Math.max(lanes.drumKeys.size, 1);
    const y = lanes.drumTop + (lanes.drumKeys.get(pitch) ?? 0) * height;
    return [x, y + height * 0.15, Math.max(2, Math.min(view.scale * 0.06, 6)), Math.max(height * 0.7, 1)];
  }
  const height = lanes.pitchHeight;
  const y = lanes.pitchedBottom - (pitch - lanes.lowest + 1) * height;
  return [x, y + Math.min(0.5, height * 0.1), Math.max(duration * view.scale - 0.6, 1.5), Math.max(height - 1, 1.4)];
}
