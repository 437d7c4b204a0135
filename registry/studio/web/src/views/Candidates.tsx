// The completions that were composed together, or that grow now: to hear, to choose, to reject, to ask for others.
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import type { Note } from "../api/types";
import { player } from "../player/player";
import { Thumbnail } from "../roll/Thumbnail";
import { compose, growingId, job, listen, type Growing, type Job } from "../state/composing";
import { change, current, project } from "../state/history";
import { childrenOf, isGiven, without, type Piece } from "../state/project";
import { again } from "../state/requests";
import { select, togglePiece } from "../state/selecting";
import { isReady, model } from "../state/server";
import { texts } from "../texts";
import { Icon } from "./Icon";

export function Candidates(): JSX.Element | null {
  const running = job.value;
  if (running !== null) {
    return (
      <section class="candidates" aria-label={texts.candidates.label} aria-busy="true">
        <div class="candidates-head">
          <h2>{texts.candidates.label}</h2>
        </div>
        <div class="cards">
          {running.growing.map((growing) => (
            <GrowingCard key={growing.number} running={running} growing={growing} />
          ))}
        </div>
      </section>
    );
  }
  const chosen = current.value;
  if (chosen === null) return null;
  const batch = childrenOf(project.value, chosen.parent).filter((piece) => piece.batch === chosen.batch);
  return (
    <section class="candidates" aria-label={texts.candidates.label}>
      <div class="candidates-head">
        <h2>{texts.candidates.label}</h2>
        {chosen.posted !== null && <Again piece={chosen} />}
      </div>
      <div class="cards">
        {batch.map((piece) => (
          <Card key={piece.id} piece={piece} isChosen={piece.id === chosen.id} />
        ))}
      </div>
    </section>
  );
}

function Again({ piece }: { piece: Piece }): JSX.Element {
  const isOther = piece.model.digest !== model.value?.digest && piece.posted?.path === "/v1/continue";
  function redo(): void {
    const { posted, parent, origin, infilled } = piece;
    if (posted === null) return;
    void compose({ posted: again(posted, null), parent, origin, plays: false, ...(infilled === null ? {} : { infilled }) });
  }
  return (
    <button type="button" onClick={redo} disabled={!isReady.value || isOther}>
      <Icon name="again" />
      {texts.candidates.again}
    </button>
  );
}

function PlayButton({ isPlayed, name, onClick }: { isPlayed: boolean; name: string; onClick: () => void }): JSX.Element {
  return (
    <button type="button" class="icon" onClick={onClick} aria-label={isPlayed ? texts.candidates.pause(name) : texts.candidates.play(name)}>
      <Icon name={isPlayed ? "pause" : "play"} />
    </button>
  );
}

function GrowingCard({ running, growing }: { running: Job; growing: Growing }): JSX.Element {
  const { kept } = running;
  const given = useCallback((note: Note) => note[0] < kept - 1e-3, [kept]);
  const id = growingId(running.id, growing.number);
  const isHeard = player.music.value?.id === id;
  const name = texts.candidates.named(growing.number + 1);
  function toggle(): void {
    if (isHeard) player.toggle();
    else listen(running.id, growing.number);
  }
  return (
    <article class={`card${isHeard ? " chosen" : ""}`} aria-label={name}>
      <div class="card-roll">
        <Thumbnail notes={growing.notes} seconds={growing.seconds} kept={kept} isGiven={given} />
      </div>
      <div class="card-foot">
        <PlayButton isPlayed={isHeard && player.isOn.value} name={name} onClick={toggle} />
        <span>
          <b>{growing.number + 1}</b>
          <small>{growing.isGrowing ? texts.candidates.grows(growing.seconds) : texts.seconds(growing.seconds)}</small>
        </span>
      </div>
    </article>
  );
}

function Card({ piece, isChosen }: { piece: Piece; isChosen: boolean }): JSX.Element {
  const given = useCallback((note: Note) => isGiven(piece, note), [piece]);
  const { notes, seconds, score, number, unheard = [] } = piece.candidate;
  const name = texts.candidates.named(number + 1);
  const isHeard = player.music.value?.id === piece.id;
  return (
    <article class={`card${isChosen ? " chosen" : ""}`} aria-label={name}>
      <button type="button" class="card-roll" onClick={() => select(piece)} aria-pressed={isChosen} aria-label={texts.candidates.choose(name)}>
        <Thumbnail notes={notes} seconds={seconds} kept={piece.infilled === null ? piece.kept : 0} isGiven={given} />
      </button>
      <div class="card-foot">
        <PlayButton isPlayed={isHeard && player.isOn.value} name={name} onClick={() => togglePiece(piece)} />
        <span>
          <b>{number + 1}</b>
          <small>{texts.seconds(seconds)}</small>
        </span>
        {score !== null && (
          <span class="score" title={texts.score.hint}>
            <meter min={0} max={1} value={score} aria-label={texts.score.label} />
            {texts.score.short(score)}
          </span>
        )}
        <button type="button" class="icon" onClick={() => change((before) => without(before, piece.id))} aria-label={texts.candidates.reject(name)} title={texts.candidates.rejectShort}>
          <Icon name="close" />
        </button>
      </div>
      {unheard.length > 0 && <p class="unheard">{texts.candidates.unheard(unheard)}</p>}
    </article>
  );
}
