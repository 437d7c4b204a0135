// The simple view: a style and a start, and music at once.
import type { JSX } from "preact";
import { player } from "../player/player";
import { again, composed } from "../state/requests";
import { cancel, compose, job } from "../state/composing";
import { current, set, settings } from "../state/history";
import { openSample } from "../state/links";
import { go } from "../state/route";
import { isReady, model, samples } from "../state/server";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { Stage } from "./Stage";
import { StartPicker } from "./StartPicker";
import { StylePicker } from "./StylePicker";

export function Listen(): JSX.Element {
  const { style, start, opening, upload } = settings.value;
  const lacks = start === "opening" && opening === null ? texts.start.chooseOpening : start === "midi" && upload === null ? texts.start.chooseFile : null;
  return (
    <>
      <section class="hero">
        <h1>{texts.listen.title}</h1>
        <p class="lead">{texts.listen.lead}</p>
        <StylePicker name="listen-style" label={texts.style.label} none={texts.style.any} chosen={style} onChoose={(style) => set({ style, second: null })} />
        <StartPicker name="listen-start" />
        <div class="hero-actions">
          <button type="button" class="primary large" disabled={lacks !== null || !isReady.value || job.value !== null} onClick={begin}>
            <Icon name="play" />
            {texts.listen.compose}
          </button>
          {job.value !== null && (
            <button type="button" class="large" onClick={cancel}>
              {texts.stage.cancel}
            </button>
          )}
          {lacks !== null && <p class="hint">{lacks}</p>}
        </div>
      </section>
      {(job.value !== null || current.value !== null) && (
        <>
          <Stage cut={null} onCut={null} />
          {job.value === null && <After />}
        </>
      )}
      <Samples />
    </>
  );
}

/** Compose one piece, and play it while it grows. */
function begin(): void {
  if (model.value === null) return;
  void player.load();
  const posted = composed({ ...settings.value, completions: 1 }, model.value);
  void compose({ posted, parent: null, origin: "composed", plays: true });
  requestAnimationFrame(() => document.querySelector(".stage")?.scrollIntoView({ block: "nearest" }));
}

function After(): JSX.Element {
  const piece = current.value;
  return (
    <div class="after">
      {piece?.posted != null && (
        <button
          type="button"
          disabled={!isReady.value}
          onClick={() => {
            const { posted, parent, origin, infilled } = piece;
            if (posted !== null) void compose({ posted: again(posted, null), parent, origin, plays: true, ...(infilled === null ? {} : { infilled }) });
          }}
        >
          <Icon name="again" />
          {texts.listen.another}
        </button>
      )}
      <button type="button" onClick={() => go("compose")}>
        {texts.listen.work}
        <Icon name="arrow" />
      </button>
    </div>
  );
}

function Samples(): JSX.Element {
  const { style } = settings.value;
  const shown = samples.value.filter((sample) => style === null || sample.style === style);
  return (
    <section class="samples" aria-labelledby="samples-title">
      <h2 id="samples-title">{texts.samples.title}</h2>
      <p class="hint">{samples.value.length === 0 ? texts.samples.none : texts.samples.about(model.value?.version ?? "")}</p>
      {samples.value.length > 0 && shown.length === 0 && style !== null && <p class="hint">{texts.samples.noneOf(style)}</p>}
      <ul class="sample-list">
        {shown.map((sample, place) => {
          const isPlayed = player.isOn.value && (player.music.value?.id.endsWith(`:${sample.name}`) ?? false);
          return (
            <li key={sample.name}>
              <button type="button" onClick={() => void openSample(sample)} aria-pressed={isPlayed}>
                <Icon name={isPlayed ? "pause" : "play"} />
                <span>{texts.samples.named(sample.style, place + 1)}</span>
                <small>{texts.seconds(sample.seconds)}</small>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
