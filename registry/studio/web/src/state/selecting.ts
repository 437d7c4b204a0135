// Choosing a piece to look at and to hear: what is played changes with it.
import { player } from "../player/player";
import { musicOf } from "./composing";
import { choose } from "./history";
import type { Piece } from "./project";

/** Choose a piece; where another one is played, this one is played instead. */
export function select(piece: Piece): void {
  choose(piece.id);
  if (player.music.value?.id === piece.id) return;
  const isOn = player.isOn.value;
  player.open(musicOf(piece));
  if (isOn) player.play();
}

/** Play a piece from its beginning, or pause it. */
export function togglePiece(piece: Piece): void {
  choose(piece.id);
  if (player.music.value?.id !== piece.id) player.open(musicOf(piece));
  player.toggle();
}
