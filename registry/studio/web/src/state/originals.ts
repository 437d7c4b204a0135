// Spans of pieces that stand in the model's training pieces, asked for once a piece.
import { signal } from "@preact/signals";
import { fetchOriginality } from "../api/client";
import type { Originality } from "../api/types";
import type { Piece } from "./project";

/** By the id of a piece; null while it is asked for, and where it cannot be said. */
export const originals = signal<ReadonlyMap<string, Originality | null>>(new Map());

export function check(piece: Piece): void {
  if (originals.value.has(piece.id)) return;
  originals.value = new Map(originals.value).set(piece.id, null);
  fetchOriginality(piece.candidate.node.tokens).then(
    (found) => (originals.value = new Map(originals.value).set(piece.id, found)),
    () => undefined, // without the dataset nothing can be said, and nothing is
  );
}
