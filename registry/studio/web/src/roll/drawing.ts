// Drawing a piano roll: pitched notes coloured by instrument, drums in a lane below, on a canvas that shows a part.
import type { Copy, Instrument, Note } from "../api/types";
import { firstFrom } from "../player/player";
import { instrumentColour, type Palette } from "./colours";
import { boxOf, drumsOf, GAP, isBlack, type Lanes, lanesOf, longest } from "./lanes";

/** Notes up to which corners are round. */
const ROUNDED = 2500;
/** Steps of the ruler in seconds. */
const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
/** Pixels between its lines at least. */
const STEP_WIDTH = 64;
const LOUDNESSES = 3;
/** Pixels of a semitone from which on the rows of black keys are shaded. */
const SHADED = 3;

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

/** Where it is shown: the size in pixels, pixels a second, the second at the left edge, and the ruler's height, 0 without. */
export interface View {
  width: number;
  height: number;
  scale: number;
  left: number;
  ruler: number;
}

/** Draw what a view shows of a roll; the context is scaled to pixels of the page. */
export function draw(context: CanvasRenderingContext2D, content: Content, view: View, palette: Palette): void {
  const drums = drumsOf(content.instruments);
  const lanes = lanesOf(content, drums, view.height, view.ruler);
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
      if (total <= ROUNDED && width > 3 && height > 3) context.roundRect(x, y, width, height, Math.min(3, height / 2));
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
    const [onset, duration, , velocity, instrument] = note;
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
    group.boxes.push(...boxOf(note, lanes, view, isDrum));
  }
  return groups;
}

function drawGround(context: CanvasRenderingContext2D, content: Content, view: View, palette: Palette, lanes: Lanes): void {
  const top = view.ruler;
  if (top > 0 && lanes.pitchHeight >= SHADED) {
    context.fillStyle = palette.shade;
    for (let pitch = lanes.lowest; pitch <= lanes.highest; pitch++) {
      if (isBlack(pitch)) context.fillRect(0, lanes.pitchedBottom - (pitch - lanes.lowest + 1) * lanes.pitchHeight, view.width, lanes.pitchHeight);
    }
  }
  const end = (content.kept - view.left) * view.scale;
  if (content.kept > 0 && end > 0) {
    context.fillStyle = palette.given;
    context.fillRect(0, top, end, view.height - top);
  }
  context.lineWidth = 1;
  context.strokeStyle = palette.line;
  context.fillStyle = palette.soft;
  context.font = `${view.ruler / 2}px Inter, system-ui, sans-serif`;
  context.beginPath();
  if (top > 0) {
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
      context.fillText(clock(second, step < 1), x + 4, top * 0.64);
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
  const top = view.ruler;
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
