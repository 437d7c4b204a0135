// What sounds at the play head: its notes lit up in the roll, and the keys beside it that are down.
import type { Note } from "../api/types";
import { firstFrom } from "../player/player";
import { instrumentColour, type Palette } from "./colours";
import type { Content, View } from "./drawing";
import { boxOf, isBlack, type Lanes } from "./lanes";

/** Seconds for which a drum is lit. */
const FLASH = 0.12;
/** Share of the width that black keys take. */
const SHORT = 0.54;
/** Heights of the ruler in an octave, from which on each C is named. */
const NAMED = 1.2;

/** Return the notes that sound at a second; `longest`: the longest duration among all. */
export function soundingAt(content: Content, drums: ReadonlySet<string>, longest: number, second: number): Note[] {
  const found: Note[] = [];
  for (let at = firstFrom(content.notes, second - Math.max(longest, FLASH)); at < content.notes.length; at++) {
    const note = content.notes[at] as Note;
    if (note[0] > second) break;
    const duration = drums.has(note[4]) ? FLASH : note[1];
    if (note[0] + duration > second && content.isHeard(note[4])) found.push(note);
  }
  return found;
}

/** Light notes up, over the roll. */
export function drawLit(context: CanvasRenderingContext2D, notes: readonly Note[], content: Content, drums: ReadonlySet<string>, view: View, palette: Palette, lanes: Lanes): void {
  context.clearRect(0, 0, view.width, view.height);
  for (const note of notes) {
    const isDrum = drums.has(note[4]);
    const [x, y, width, height] = boxOf(note, lanes, view, isDrum);
    context.fillStyle = isDrum ? palette.drums : instrumentColour(content.instruments, note[4], palette.isDark);
    context.shadowColor = context.fillStyle;
    context.shadowBlur = 14;
    context.beginPath();
    context.roundRect(x - 1, y - 1, width + 2, height + 2, Math.min(3, height / 2));
    context.fill();
    context.shadowBlur = 0;
    context.fillStyle = palette.isDark ? "#ffffff66" : "#ffffff59";
    context.fill();
  }
}

/** Draw the keys of a piano beside the roll, those down in the colours of their instruments. */
export function drawKeys(context: CanvasRenderingContext2D, width: number, height: number, ruler: number, down: ReadonlyMap<number, string>, palette: Palette, lanes: Lanes): void {
  const { lowest, highest, pitchHeight, pitchedBottom } = lanes;
  const topOf = (pitch: number) => pitchedBottom - (pitch - lowest + 1) * pitchHeight;
  context.clearRect(0, 0, width, height);
  context.fillStyle = palette.whiteKey;
  context.fillRect(0, ruler, width, pitchedBottom - ruler);
  for (let pitch = lowest; pitch <= highest; pitch++) {
    const [y, colour] = [topOf(pitch), down.get(pitch)];
    const isShort = isBlack(pitch);
    if (isShort || colour !== undefined) {
      context.fillStyle = colour ?? palette.blackKey;
      context.fillRect(0, y, isShort ? width * SHORT : width, pitchHeight);
    }
    // White keys meet between B and C, and between E and F
    if (pitch % 12 === 0 || pitch % 12 === 5) {
      context.fillStyle = palette.line;
      context.fillRect(0, Math.round(y + pitchHeight) - 0.5, width, 1);
    }
    if (pitch % 12 === 0 && pitchHeight * 12 >= NAMED * ruler) {
      context.fillStyle = palette.onKey;
      context.font = `${ruler * 0.4}px Inter, system-ui, sans-serif`;
      context.textAlign = "right";
      context.fillText(`C${pitch / 12 - 1}`, width - 2, y + pitchHeight / 2 + ruler * 0.14);
    }
  }
}
