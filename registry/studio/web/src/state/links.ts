// Pieces that the page did not compose itself: linked to, or ready-made.
import { fetchPiece, Refused } from "../api/client";
import { events } from "../api/events";
import type { Answer, Sample } from "../api/types";
import { player } from "../player/player";
import { texts } from "../texts";
import { musicOf, piecesOf } from "./composing";
import { change, choose, project } from "./history";
import { say } from "./messages";
import type { Piece } from "./project";
import { model, notice, sampleAnswer } from "./server";
import type { Link } from "./route";

/** Open a piece that was linked to: as the server has it, else made again by the request in the link. */
export async function openLink(link: Link): Promise<void> {
  const here = Object.values(project.value.pieces).find((piece) => piece.digest === link.digest && piece.candidate.number === link.candidate);
  if (here !== undefined) {
    choose(here.id);
    player.offer(musicOf(here));
    return;
  }
  try {
    const answer = await fetchPiece(link.digest).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 404 && link.request !== null) return madeAgain(link);
      throw error;
    });
    const pieces = piecesOf(answer, { posted: null, parent: null, origin: "shared", infilled: null, kept: 0 });
    const chosen = pieces.find((piece) => piece.candidate.number === link.candidate) ?? pieces[0];
    if (chosen !== undefined) add(chosen);
  } catch (error) {
    notice(error);
    say(error instanceof Error ? error.message : texts.errors.unknown, "error");
  }
}

async function madeAgain(link: Link): Promise<Answer> {
  for await (const event of events({ path: "/v1/compose", body: link.request ?? {} }, new AbortController().signal)) {
    if (event.event === "failed") throw new Error(event.data.error);
    if (event.event !== "finished") continue;
    if (event.data.digest !== link.digest) say(texts.errors.otherModel, "note");
    return event.data;
  }
  throw new Error(texts.errors.unknown);
}

/** Play a ready-made sample; `place`: its number among those of its style. */
export async function openSample(sample: Sample, place: number): Promise<void> {
  const id = `sample:${model.value?.digest ?? ""}:${sample.name}`;
  if (player.music.value?.id === id) {
    player.toggle();
    return;
  }
  try {
    const known = project.value.pieces[id];
    const [piece] = known !== undefined ? [known] : piecesOf(await sampleAnswer(sample.name), { posted: null, parent: null, origin: "sample", infilled: null, kept: 0 });
    if (piece === undefined) return;
    const named = { ...piece, id, title: texts.samples.titleOf(sample.style, place) };
    if (known === undefined) add(named);
    else choose(id);
    player.open(musicOf(named));
    player.play();
  } catch (error) {
    notice(error);
    say(error instanceof Error ? error.message : texts.errors.unknown, "error");
  }
}

function add(piece: Piece): void {
  change((before) => ({ ...before, pieces: { ...before.pieces, [piece.id]: piece }, current: piece.id }));
  player.offer(musicOf(piece));
}
