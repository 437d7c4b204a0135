// Which colour is which instrument.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Note } from "../api/types";
import { instrumentColour } from "../roll/colours";
import { model } from "../state/server";
import { theme } from "../state/theme";
import { texts } from "../texts";

export function instrumentsOf(notes: readonly Note[]): string[] {
  const found = new Set(notes.map((note) => note[4]));
  return (model.value?.instruments ?? []).map((each) => each.name).filter((name) => found.has(name));
}

export function Swatch({ name }: { name: string }): JSX.Element {
  const instruments = model.value?.instruments ?? [];
  const isDrums = instruments.find((each) => each.name === name)?.drums ?? false;
  const colour = isDrums ? "var(--drums)" : instrumentColour(instruments, name, theme.value === "dark");
  return <i class={`swatch${isDrums ? " square" : ""}`} style={{ background: colour }} aria-hidden="true" />;
}

export function Legend({ notes }: { notes: readonly Note[] }): JSX.Element {
  const names = useMemo(() => instrumentsOf(notes), [notes, model.value]);
  return (
    <ul class="legend" aria-label={texts.roll.legend}>
      {names.map((name) => (
        <li key={name}>
          <Swatch name={name} />
          {texts.instrument(name)}
        </li>
      ))}
    </ul>
  );
}
