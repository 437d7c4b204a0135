// A piece as files, and as a link.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Copy } from "../api/types";
import { soundState } from "../player/sound";
import { renderWav } from "../player/wav";
import { rollPicture } from "../roll/png";
import { download, fromBase64 } from "../state/files";
import { say } from "../state/messages";
import type { Piece } from "../state/project";
import { addressOf, type Link } from "../state/route";
import { model, notice } from "../state/server";
import { texts } from "../texts";
import { Menu } from "./Menu";

interface Props {
  piece: Piece;
  copies: readonly Copy[];
}

export function ExportMenu({ piece, copies }: Props): JSX.Element {
  const [share, setShare] = useState<number | null>(null);
  const { name, midi } = piece.candidate;

  async function saveWav(): Promise<void> {
    setShare(0);
    try {
      download(await renderWav(fromBase64(midi), setShare), `${name}.wav`);
    } catch (error) {
      notice(error);
      say(texts.exporting.noWav, "error");
    } finally {
      setShare(null);
    }
  }

  async function copyLink(): Promise<void> {
    const address = addressOf(linkOf(piece));
    try {
      await navigator.clipboard.writeText(address);
      say(texts.exporting.copied, "note");
    } catch {
      say(texts.exporting.address(address), "note");
    }
  }

  return (
    <Menu icon="export" label={texts.exporting.label} text={texts.exporting.button}>
      <button type="button" onClick={() => download(new Blob([fromBase64(midi)], { type: "audio/midi" }), `${name}.mid`)}>
        {texts.exporting.midi}
      </button>
      <button type="button" disabled={share !== null || soundState.value === "missing"} onClick={() => void saveWav()}>
        {share === null ? texts.exporting.wav : texts.exporting.rendering(share)}
      </button>
      <button
        type="button"
        onClick={() => void rollPicture(piece, copies, model.value?.instruments ?? []).then((picture) => download(picture, `${name}.png`))}
      >
        {texts.exporting.png}
      </button>
      <button type="button" disabled={piece.link === null} onClick={() => void copyLink()}>
        {texts.exporting.link}
      </button>
      <p class="hint">{piece.link === null ? texts.exporting.noLink : texts.exporting.exact(piece.model.version ?? "", piece.candidate.number)}</p>
    </Menu>
  );
}

/** A request that begins with nothing or with an opening can be made again from the link alone. */
function linkOf(piece: Piece): Link {
  const { posted, digest, candidate } = piece;
  const request = posted?.path === "/v1/compose" && posted.body.prompt === undefined ? { ...posted.body } : null;
  return { digest, candidate: candidate.number, request };
}
