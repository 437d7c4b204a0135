// What is looked at: the piece that is chosen, or a completion that grows, as a piano roll with a line about it.
import type { JSX } from "preact";
import { useCallback, useEffect } from "preact/hooks";
import type { Note } from "../api/types";
import { player } from "../player/player";
import { spanText } from "../roll/overlays";
import { Roll } from "../roll/Roll";
import { cancel, growingId, job, listen, type Growing, type Job } from "../state/composing";
import { current } from "../state/history";
import { check, originals } from "../state/originals";
import { isGiven, type Piece } from "../state/project";
import { select } from "../state/selecting";
import { model } from "../state/server";
import { texts } from "../texts";
import { ExportMenu } from "./ExportMenu";
import { Icon } from "./Icon";
import { Legend } from "./Legend";

const NONE: readonly Note[] = [];

interface Props {
  cut: number | null;
  onCut: ((seconds: number) => void) | null;
}

export function Stage({ cut, onCut }: Props): JSX.Element {
  const running = job.value;
  if (running !== null) return <GrowingStage running={running} />;
  const piece = current.value;
  if (piece === null) return <EmptyStage />;
  return <PieceStage key={piece.id} piece={piece} cut={cut} onCut={onCut} />;
}

function EmptyStage(): JSX.Element {
  return (
    <section class="stage empty" aria-label={texts.stage.label}>
      <Icon name="notes" />
      <p>{texts.stage.empty}</p>
    </section>
  );
}

/** The completion that is heard, else the first. */
function shownOf(running: Job): Growing | undefined {
  const heard = running.growing.find((each) => player.music.value?.id === growingId(running.id, each.number));
  return heard ?? running.growing[0];
}

function GrowingStage({ running }: { running: Job }): JSX.Element {
  const shown = shownOf(running);
  const { kept } = running;
  const given = useCallback((note: Note) => note[0] < kept - 1e-3, [kept]);
  const body = running.posted.body;
  const asked = "changes" in body ? body.changes.seconds : body.seconds;
  return (
    <section class="stage" aria-label={texts.stage.label}>
      <div class="stage-head">
        <div>
          <h2>{texts.stage.states[running.state](running.position)}</h2>
          <progress max={1} value={running.state === "composing" || running.state === "ranking" ? running.share : undefined} aria-label={texts.stage.progress} />
        </div>
        <button type="button" onClick={cancel}>
          {texts.stage.cancel}
        </button>
      </div>
      <Roll
        id={shown === undefined ? running.id : growingId(running.id, shown.number)}
        notes={shown?.notes ?? NONE}
        seconds={shown?.seconds ?? 0}
        expected={asked ?? shown?.seconds ?? 10}
        kept={kept}
        isGiven={given}
        copies={[]}
        cut={null}
        onCut={null}
        onTake={() => {
          if (shown !== undefined) listen(running.id, shown.number);
        }}
      >
        <Legend notes={shown?.notes ?? NONE} />
      </Roll>
    </section>
  );
}

function PieceStage({ piece, cut, onCut }: { piece: Piece } & Props): JSX.Element {
  const given = useCallback((note: Note) => isGiven(piece, note), [piece]);
  useEffect(() => check(piece), [piece.id, model.value?.digest]);
  const original = originals.value.get(piece.id) ?? null;
  const { notes, seconds, score } = piece.candidate;
  const span = player.music.value?.id === piece.id ? player.span.value : null;
  return (
    <section class="stage" aria-label={texts.stage.label}>
      <div class="stage-head">
        <div>
          <h2>{piece.title}</h2>
          <p class="facts">
            {[
              texts.seconds(seconds),
              texts.notes(notes.length),
              score === null ? null : texts.score.long(score),
              span === null ? null : texts.stage.selected(spanText(span)),
            ]
              .filter((fact) => fact !== null)
              .join(" · ")}
          </p>
        </div>
        <ExportMenu piece={piece} copies={original?.copies ?? []} />
      </div>
      <Roll
        id={piece.id}
        notes={notes}
        seconds={seconds}
        expected={0}
        kept={piece.infilled === null ? piece.kept : 0}
        isGiven={given}
        copies={original?.copies ?? []}
        cut={cut}
        onCut={onCut}
        onTake={() => select(piece)}
      >
        <Legend notes={notes} />
      </Roll>
      {original !== null && original.unknown === null && <p class="hint">{original.copied_notes > 0 ? texts.stage.copied(original.copies) : texts.stage.original}</p>}
    </section>
  );
}
