// The ready-made samples, each with its music; they are fetched as they come into view, so that they play at once.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer, Sample } from "../api/types";
import { player } from "../player/player";
import { Thumbnail } from "../roll/Thumbnail";
import { settings } from "../state/history";
import { openSample } from "../state/links";
import { model, sampleAnswer, samples } from "../state/server";
import { texts } from "../texts";
import { Icon } from "./Icon";

/** How far below the window a sample is fetched already. */
const AHEAD = "200px";

export function Samples(): JSX.Element {
  const { style } = settings.value;
  const shown = samples.value.filter((sample) => style === null || sample.style === style);
  return (
    <section class="samples" aria-labelledby="samples-title">
      <h2 id="samples-title">{texts.samples.title}</h2>
      <p class="hint">{samples.value.length === 0 ? texts.samples.none : texts.samples.about(model.value?.version ?? "")}</p>
      {samples.value.length > 0 && shown.length === 0 && style !== null && <p class="hint">{texts.samples.noneOf(style)}</p>}
      <ul class="sample-list">
        {shown.map((sample) => (
          <li key={sample.name}>
            <SampleCard sample={sample} place={placeOf(sample)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Return the number of a sample among those of its style, from 1. */
function placeOf(sample: Sample): number {
  return samples.value.filter((each) => each.style === sample.style).indexOf(sample) + 1;
}

function SampleCard({ sample, place }: { sample: Sample; place: number }): JSX.Element {
  const card = useRef<HTMLButtonElement>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        // What is wrong is said when it is to be played
        sampleAnswer(sample.name).then(setAnswer, () => undefined);
      },
      { rootMargin: AHEAD },
    );
    if (card.current !== null) observer.observe(card.current);
    return () => observer.disconnect();
  }, [sample.name]);
  const isPlayed = player.isOn.value && (player.music.value?.id.endsWith(`:${sample.name}`) ?? false);
  const notes = answer?.candidates[0]?.notes;
  return (
    <button ref={card} type="button" class="sample" onClick={() => void openSample(sample, place)} aria-pressed={isPlayed}>
      {notes === undefined ? <span class="sample-blank" /> : <Thumbnail notes={notes} seconds={sample.seconds} kept={0} isGiven={notGiven} />}
      <span class="sample-foot">
        <Icon name={isPlayed ? "pause" : "play"} />
        <b>{texts.samples.named(sample.style, place)}</b>
        <small>{texts.seconds(sample.seconds)}</small>
      </span>
    </button>
  );
}

function notGiven(): boolean {
  return false;
}
