// The settings of the advanced view, and the button that composes.
import type { JSX } from "preact";
import { act, ACTIONS, action, beginWithIt, hindrance, isOfOtherModel } from "../state/action";
import { cancel, job } from "../state/composing";
import { set, settings } from "../state/history";
import { model } from "../state/server";
import { texts } from "../texts";
import { CutField, PartFields } from "./PlaceFields";
import { Slider } from "./Slider";
import { StartPicker } from "./StartPicker";

export function Panel(): JSX.Element {
  const isRunning = job.value !== null;
  return (
    <form
      class="panel"
      aria-label={texts.settings.label}
      onSubmit={(event) => {
        event.preventDefault();
        act();
      }}
    >
      <div class="panel-body">
        <div class="segments" role="radiogroup" aria-label={texts.actions.label}>
          {ACTIONS.map((each) => (
            <label key={each} class="segment">
              <input type="radio" name="action" checked={action.value === each} onChange={() => (action.value = each)} />
              <span>{texts.actions.names[each]}</span>
            </label>
          ))}
        </div>
        <p class="hint">{texts.actions.hints[action.value]}</p>
        {action.value === "begin" && <StartPicker name="panel-start" />}
        {action.value === "go-on" && <CutField />}
        {action.value === "change" && <PartFields />}
        <Styles />
        {action.value !== "change" && <Instruments />}
        <Drawing />
      </div>
      <div class="panel-foot">
        {hindrance.value !== null && !isRunning && <p class="hint">{hindrance.value}</p>}
        {isOfOtherModel.value && (
          <button type="button" onClick={beginWithIt}>
            {texts.actions.beginWithIt}
          </button>
        )}
        {isRunning ? (
          <button type="button" class="large" onClick={cancel}>
            {texts.stage.cancel}
          </button>
        ) : (
          <button type="submit" class="primary large" disabled={hindrance.value !== null}>
            {texts.actions.submit(action.value, Math.min(settings.value.completions, model.value?.limits.candidates ?? 1))}
          </button>
        )}
      </div>
    </form>
  );
}

function Styles(): JSX.Element {
  const { style, second, mix } = settings.value;
  const styles = model.value?.styles ?? [];
  const isAlone = style === null;
  const choice = (chosen: string | null, none: string, label: string, onChoose: (style: string | null) => void) => (
    <label>
      <span class={isAlone ? "unseen" : undefined}>{label}</span>
      <select value={chosen ?? ""} onChange={(event) => onChoose(event.currentTarget.value || null)}>
        <option value="">{none}</option>
        {styles.map((name) => (
          <option key={name} value={name}>
            {texts.style.named(name)}
          </option>
        ))}
        {chosen !== null && !styles.includes(chosen) && <option value={chosen}>{texts.style.missing(chosen)}</option>}
      </select>
    </label>
  );
  const unknown = [style, second].find((name) => name !== null && !styles.includes(name));
  const isBlend = style !== null && second !== null && style !== second;
  return (
    <fieldset class="group">
      <legend>{texts.style.label}</legend>
      <div class="pair">
        {choice(style, texts.style.any, texts.style.first, (style) => set({ style }))}
        {style !== null && choice(second, texts.style.nothing, texts.style.second, (second) => set({ second }))}
      </div>
      {unknown != null && <p class="hint warning">{texts.style.unknown(unknown)}</p>}
      {isBlend && (
        <Slider
          label={texts.style.blend}
          value={mix}
          min={0}
          max={1}
          step={0.05}
          text={texts.style.mix(style, 1 - mix, second, mix)}
          onInput={(mix) => set({ mix })}
        />
      )}
    </fieldset>
  );
}

function Instruments(): JSX.Element {
  const { instruments, require } = settings.value;
  const groups = [...(model.value?.groups ?? [])];
  function toggle(name: string): void {
    set({ instruments: instruments.includes(name) ? instruments.filter((each) => each !== name) : [...instruments, name] });
  }
  return (
    <fieldset class="group">
      <legend>{texts.instruments.label}</legend>
      <div class="chips">
        {groups.map((name) => (
          <label key={name} class="chip">
            <input type="checkbox" checked={instruments.includes(name)} onChange={() => toggle(name)} />
            <span>{texts.instrument(name)}</span>
          </label>
        ))}
      </div>
      <label class="check">
        <input type="checkbox" checked={require} disabled={instruments.length === 0} onChange={() => set({ require: !require })} />
        {texts.instruments.require}
      </label>
      <p class="hint">{instruments.length === 0 ? texts.instruments.none : require ? texts.instruments.required : texts.instruments.suggested}</p>
    </fieldset>
  );
}

function Drawing(): JSX.Element {
  const { temperature, topP, seconds, tempo, form, completions, seed, start } = settings.value;
  const limits = model.value?.limits;
  const own = (reset: () => void) => ({ label: texts.settings.own, reset });
  const hasLength = action.value !== "change";
  const hasForm = hasLength && model.value?.time === "beats";
  const hasTempo = action.value === "begin" && start === "nothing";
  return (
    <fieldset class="group">
      <legend>{texts.settings.drawing}</legend>
      {hasLength && (
        <Slider
          label={action.value === "begin" ? texts.settings.length : texts.settings.more}
          value={seconds}
          min={5}
          max={Math.min(limits?.seconds ?? 120, 240)}
          step={5}
          text={texts.seconds(seconds)}
          onInput={(seconds) => set({ seconds })}
        />
      )}
      <Slider
        label={texts.settings.completions}
        value={Math.min(completions, limits?.candidates ?? 4)}
        min={1}
        max={Math.min(limits?.candidates ?? 4, 8)}
        step={1}
        text={String(completions)}
        onInput={(completions) => set({ completions })}
      />
      {hasTempo && (
        <Slider
          label={texts.settings.tempo}
          value={tempo ?? 120}
          min={20}
          max={240}
          step={5}
          text={tempo === null ? texts.settings.modelsOwn : texts.settings.beats(tempo)}
          onInput={(tempo) => set({ tempo })}
          onReset={tempo === null ? null : own(() => set({ tempo: null }))}
        />
      )}
      {hasForm && (
        <label>
          {texts.settings.form}
          <select value={form ?? "own"} onChange={({ currentTarget: { value } }) => set({ form: value === "own" ? null : value })}>
            <option value="own">{texts.settings.own}</option>
            {Object.entries(texts.settings.forms).map(([letters, name]) => (
              <option key={letters} value={letters}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <Slider
        label={texts.settings.temperature}
        value={temperature ?? 1}
        min={0.5}
        max={1.5}
        step={0.05}
        text={temperature === null ? texts.settings.modelsOwn : temperature.toFixed(2)}
        onInput={(temperature) => set({ temperature })}
        onReset={temperature === null ? null : own(() => set({ temperature: null }))}
      />
      <Slider
        label={texts.settings.topP}
        value={topP ?? 1}
        min={0.5}
        max={1}
        step={0.01}
        text={topP === null ? texts.settings.modelsOwn : topP.toFixed(2)}
        onInput={(topP) => set({ topP })}
        onReset={topP === null ? null : own(() => set({ topP: null }))}
      />
      <label>
        {texts.settings.seed}
        <input
          type="number"
          min={0}
          step={1}
          value={seed ?? ""}
          placeholder={texts.settings.anySeed}
          onChange={(event) => {
            const value = event.currentTarget.valueAsNumber;
            set({ seed: Number.isInteger(value) && value >= 0 ? value : null });
          }}
        />
      </label>
    </fieldset>
  );
}
