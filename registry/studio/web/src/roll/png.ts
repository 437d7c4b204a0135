// Piano rolls as pictures.
import type { Copy, Instrument } from "../api/types";
import { isGiven, type Piece } from "../state/project";
import { paletteOf } from "./colours";
import { draw } from "./drawing";

const HEIGHT = 540;
const NARROWEST = 1200;
/** Canvases of browsers are hardly wider. */
const WIDEST = 16_000;
const SCALE = 24;
const RULER = 22;

/** Return the piano roll of a piece as PNG. */
export function rollPicture(piece: Piece, copies: readonly Copy[], instruments: readonly Instrument[]): Promise<Blob> {
  const { notes, seconds } = piece.candidate;
  const width = Math.min(Math.max(Math.ceil(seconds * SCALE), NARROWEST), WIDEST);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, HEIGHT];
  const context = canvas.getContext("2d");
  if (context === null) return Promise.reject(new Error("canvas"));
  const palette = paletteOf(document.body);
  const content = { notes, isGiven: (note: (typeof notes)[number]) => isGiven(piece, note), isHeard: () => true, kept: piece.infilled === null ? piece.kept : 0, copies, instruments };
  draw(context, content, { width, height: HEIGHT, scale: width / Math.max(seconds, 1), left: 0, ruler: RULER }, palette);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, width, HEIGHT);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob === null ? reject(new Error("canvas")) : resolve(blob))));
}
