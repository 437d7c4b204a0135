// The simple view: a style and a start, and music at once.
import type { JSX } from "preact";
import { player } from "../player/player";
import { again, composedSimply } from "../state/requests";
import { cancel, compose, job } from "../state/composing";
import { current, set, settings } from "../state/history";
import { go } from "../state/route";
import { isReady, model, samples } from "../state/server";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { Samples } from "./Samples";
import { Stage } from "./Stage";
import { StartPicker } from "./StartPicker";
import { StylePicker } from "./StylePicker";

export function Listen(): JSX.Element {
  const { style, start, opening, upload } = settings.value;
  const lacks = start === "opening" && opening === null ? texts.start.chooseOpening : start === "midi" && upload === null ? texts.start.chooseFile : null;
  return (
    <div class="listen">
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
      <div class="hearing">
        {(job.value !== null || current.value !== null || samples.value.length === 0) && (
          <>
            <Stage cut={null} onCut={null} />
            {job.value === null && current.value !== null && <After />}
          </>
        )}
        <Samples />
      </div>
    </div>
  );
}

/** Compose one piece, and play it while it grows. */
function begin(): void {
  if (model.value === null) return;
  void player.load();
  const posted = composedSimply(settings.value, model.value);
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
