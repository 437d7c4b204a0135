// Drawing a piano roll: pitched notes coloured by instrument, drums in a lane below, on a canvas that shows a part.
import type { Copy, Instrument, Note } from "../api/types";
import { firstFrom } from "../player/player";
import { instrumentColour, type Palette } from "./colours";

/** Height of the ruler in pixels. */
export const RULER = 22;
/** Semitones that are shown at least. */
const LEAST_PITCHES = 25;
const DRUM_LANE = 0.2;
const GAP = 6;
/** Notes up to which corners are round. */
const ROUNDED = 2500;
/** Steps of the ruler in seconds. */
const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
/** Pixels between its lines at least. */
const STEP_WIDTH = 64;
const LOUDNESSES = 3;

/** What a roll shows. */
export interface Content {
  notes: readonly Note[];
  isGiven: (note: Note) => boolean;
  isHeard: (instrument: string) => boolean;
  /** Seconds of what is given at the beginning. */
  kept: number;
  copies: readonly Copy[];
  instruments: readonly Instrument[];
}

/** Where it is shown: the size in pixels, pixels a second, and the second at the left edge. */
export interface View {
  width: number;
  height: number;
  scale: number;
  left: number;
  hasRuler: boolean;
}

interface Lanes {
  lowest: number;
  pitchHeight: number;
  pitchedBottom: number;
  drumKeys: Map<number, number>;
  drumTop: number;
  drumHeight: number;
}

/** Return the longest note's duration, by which a note that begins before the left edge may reach into the view. */
export function longest(notes: readonly Note[]): number {
  let found = 0;
  for (const note of notes) if (note[1] > found) found = note[1];
  return found;
}

function lanesOf(content: Content, view: View, drums: ReadonlySet<string>): Lanes {
  let low = 127;
  let high = 0;
  const keys = new Set<number>();
  for (const [, , pitch, , instrument] of content.notes) {
    if (drums.has(instrument)) keys.add(pitch);
    else {
      if (pitch < low) low = pitch;
      if (pitch > high) high = pitch;
    }
  }
  if (low > high) [low, high] = [48, 72];
  const missing = Math.max(LEAST_PITCHES - (high - low + 1), 0);
  const lowest = Math.max(low - Math.ceil(missing / 2) - 1, 0);
  const count = Math.min(high + Math.floor(missing / 2) + 1, 127) - lowest + 1;
  const top = view.hasRuler ? RULER : 2;
  const drumHeight = keys.size > 0 ? (view.height - top) * DRUM_LANE : 0;
  const pitchedBottom = view.height - (drumHeight > 0 ? drumHeight + GAP : 2);
  const sorted = [...keys].sort((a, b) => b - a);
  return {
    lowest,
    pitchHeight: (pitchedBottom - top) / count,
    pitchedBottom,
    drumKeys: new Map(sorted.map((key, row) => [key, row])),
    drumTop: view.height - drumHeight,
    drumHeight,
  };
}

/** Draw what a view shows of a roll; the context is scaled to pixels of the page. */
export function draw(context: CanvasRenderingContext2D, content: Content, view: View, palette: Palette): void {
  const drums = new Set(content.instruments.filter((each) => each.drums).map((each) => each.name));
  const lanes = lanesOf(content, view, drums);
  context.clearRect(0, 0, view.width, view.height);
  drawGround(context, content, view, palette, lanes);
  const groups = grouped(content, view, drums, palette, lanes);
  const total = [...groups.values()].reduce((sum, group) => sum + group.boxes.length, 0) / 4;
  for (const { colour, alpha, boxes } of groups.values()) {
    context.fillStyle = colour;
    context.globalAlpha = alpha;
    context.beginPath();
    for (let at = 0; at < boxes.length; at += 4) {
      const [x, y, width, height] = [boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3]] as [number, number, number, number];
      if (total <= ROUNDED && width > 3 && height > 3) context.roundRect(x, y, width, height, Math.min(2, height / 2));
      else context.rect(x, y, width, height);
    }
    context.fill();
  }
  context.globalAlpha = 1;
  drawCopies(context, content, view, palette);
}

interface Group {
  colour: string;
  alpha: number;
  boxes: number[];
}

/** Return the boxes of notes in view, those that look alike together. */
function grouped(content: Content, view: View, drums: ReadonlySet<string>, palette: Palette, lanes: Lanes): Map<string, Group> {
  const groups = new Map<string, Group>();
  const { notes } = content;
  const right = view.left + view.width / view.scale;
  for (let at = firstFrom(notes, view.left - longest(notes)); at < notes.length; at++) {
    const note = notes[at] as Note;
    const [onset, duration, pitch, velocity, instrument] = note;
    if (onset > right) break;
    if (onset + duration < view.left) continue;
    const isDrum = drums.has(instrument);
    const loudness = Math.min(Math.floor((velocity / 128) * LOUDNESSES), LOUDNESSES - 1);
    const given = content.isGiven(note);
    const key = `${instrument} ${loudness} ${given}`;
    let group = groups.get(key);
    if (group === undefined) {
      const alpha = (0.62 + (0.38 * loudness) / (LOUDNESSES - 1)) * (given ? 0.5 : 1) * (content.isHeard(instrument) ? 1 : 0.18);
      const colour = isDrum ? palette.drums : instrumentColour(content.instruments, instrument, palette.isDark);
      group = { colour, alpha, boxes: [] };
      groups.set(key, group);
    }
    const x = (onset - view.left) * view.scale;
    if (isDrum) {
      const height = lanes.drumHeight / lanes.drumKeys.size;
      const y = lanes.drumTop + (lanes.drumKeys.get(pitch) ?? 0) * height;
      group.boxes.push(x, y + height * 0.15, Math.max(2, Math.min(view.scale * 0.06, 6)), Math.max(height * 0.7, 1));
    } else {
      const height = lanes.pitchHeight;
      const y = lanes.pitchedBottom - (pitch - lanes.lowest + 1) * height;
      group.boxes.push(x, y + Math.min(0.5, height * 0.1), Math.max(duration * view.scale - 0.6, 1.5), Math.max(height - 1, 1.4));
    }
  }
  return groups;
}

function drawGround(context: CanvasRenderingContext2D, content: Content, view: View, palette: Palette, lanes: Lanes): void {
  const top = view.hasRuler ? RULER : 0;
  const end = (content.kept - view.left) * view.scale;
  if (content.kept > 0 && end > 0) {
    context.fillStyle = palette.given;
    context.fillRect(0, top, end, view.height - top);
  }
  context.lineWidth = 1;
  context.strokeStyle = palette.line;
  context.fillStyle = palette.soft;
  context.font = "11px system-ui, sans-serif";
  context.beginPath();
  if (view.hasRuler) {
    for (let pitch = Math.ceil(lanes.lowest / 12) * 12; ; pitch += 12) {
      const y = Math.round(lanes.pitchedBottom - (pitch - lanes.lowest) * lanes.pitchHeight) + 0.5;
      if (y < top + 6) break;
      context.moveTo(0, y);
      context.lineTo(view.width, y);
    }
    const step = STEPS.find((seconds) => seconds * view.scale >= STEP_WIDTH) ?? 600;
    for (let second = Math.ceil(view.left / step) * step; (second - view.left) * view.scale <= view.width; second += step) {
      const x = Math.round((second - view.left) * view.scale) + 0.5;
      context.moveTo(x, top - 5);
      context.lineTo(x, view.height);
      context.fillText(clock(second, step < 1), x + 4, top - 8);
    }
  }
  if (lanes.drumHeight > 0) {
    const y = Math.round(lanes.drumTop - GAP / 2) + 0.5;
    context.moveTo(0, y);
    context.lineTo(view.width, y);
  }
  context.stroke();
}

function drawCopies(context: CanvasRenderingContext2D, content: Content, view: View, palette: Palette): void {
  const top = view.hasRuler ? RULER : 0;
  for (const { begin, end } of content.copies) {
    const x = (begin - view.left) * view.scale;
    const width = Math.max((end - begin) * view.scale, 2);
    context.fillStyle = palette.copied;
    context.fillRect(x, top, width, 3);
    context.globalAlpha = 0.12;
    context.fillRect(x, top + 3, width, view.height - top - 3);
    context.globalAlpha = 1;
  }
}

/** Return seconds as minutes and seconds. */
export function clock(seconds: number, isFine = false): string {
  const whole = Math.floor(seconds + 1e-6);
  const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return isFine ? `${text}.${Math.floor((seconds - whole + 1e-6) * 10)}` : text;
}
