// What a piece begins with: nothing, the opening of a piece of the data, or a MIDI file of the user's own.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { fetchOpenings, Refused } from "../api/client";
import type { Opening } from "../api/types";
import { set, settings } from "../state/history";
import type { Start } from "../state/project";
import { isReady, model } from "../state/server";
import { takeMidi } from "../state/uploads";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { Slider } from "./Slider";

const STARTS: readonly Start[] = ["nothing", "opening", "midi"];
const LISTED = 40;
/** Milliseconds after the last key before names are asked for. */
const PAUSE = 200;

export function StartPicker({ name }: { name: string }): JSX.Element {
  const { start, upload, opening } = settings.value;
  const hasPrompt = (start === "opening" && opening !== null) || (start === "midi" && upload !== null);
  return (
    <fieldset class="picker">
      <legend>{texts.start.label}</legend>
      <div class="segments">
        {STARTS.map((each) => (
          <label key={each} class="segment">
            <input type="radio" name={name} checked={start === each} onChange={() => set({ start: each })} />
            <span>{texts.start.names[each]}</span>
          </label>
        ))}
      </div>
      {start === "opening" && <Openings name={`${name}-opening`} />}
      {start === "midi" && <Upload />}
      {hasPrompt && (
        <Slider
          label={texts.start.taken}
          value={settings.value.promptSeconds}
          min={1}
          max={Math.max(60, settings.value.promptSeconds)}
          step={1}
          text={texts.seconds(settings.value.promptSeconds)}
          onInput={(promptSeconds) => set({ promptSeconds })}
        />
      )}
    </fieldset>
  );
}

function Openings({ name }: { name: string }): JSX.Element {
  const { style, opening } = settings.value;
  const [search, setSearch] = useState("");
  const [found, setFound] = useState<{ total: number; openings: Opening[] } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const known = style !== null && model.value?.styles.includes(style) ? style : null;
  useEffect(() => {
    let isOver = false;
    const timer = setTimeout(() => {
      fetchOpenings(known, search, LISTED).then(
        (answer) => {
          if (isOver) return;
          setFound(answer);
          setError(null);
        },
        (reason: unknown) => {
          if (isOver) return;
          setFound(null);
          setError(isMissing(reason) ? texts.start.noPieces : reason instanceof Error ? reason.message : texts.errors.unknown);
        },
      );
    }, PAUSE);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [known, search, model.value?.digest, isReady.value]);
  if (error !== null) return <p class="hint">{error}</p>;
  return (
    <div class="openings">
      <input
        type="search"
        class="filter"
        aria-label={texts.start.search}
        placeholder={texts.start.search}
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      {found !== null && found.total === 0 && <p class="hint">{texts.start.noneFound}</p>}
      <div class="list" role="radiogroup" aria-label={texts.start.names.opening}>
        {found?.openings.map((each) => (
          <label key={each.name} class="row">
            <input type="radio" name={name} checked={opening === each.name} onChange={() => set({ opening: each.name })} />
            <span>{each.name}</span>
            <small>{texts.seconds(each.seconds)}</small>
          </label>
        ))}
      </div>
      {found !== null && found.total > found.openings.length && <p class="hint">{texts.start.more(found.openings.length, found.total)}</p>}
    </div>
  );
}

/** True where the server has no pieces of the model's dataset. */
function isMissing(reason: unknown): boolean {
  return reason instanceof Refused && reason.status === 404;
}

/** The file of the user's own; it may as well be dropped anywhere on the page. */
function Upload(): JSX.Element {
  const { upload } = settings.value;
  return (
    <label class="drop">
      <input
        type="file"
        accept=".mid,.midi,audio/midi"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file !== undefined && model.value !== null) void takeMidi(file, model.value);
          event.currentTarget.value = "";
        }}
      />
      <Icon name="file" />
      <span>{upload === null ? texts.start.drop : texts.start.dropped(upload.name)}</span>
    </label>
  );
}
