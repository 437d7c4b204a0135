// A choice of one style, as chips; a filter above where there are many.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { model } from "../state/server";
import { texts } from "../texts";

interface Props {
  name: string;
  label: string;
  chosen: string | null;
  /** What choosing none is called. */
  none: string;
  onChoose: (style: string | null) => void;
}

/** From so many styles on there is a filter. */
const MANY = 24;

export function StylePicker({ name, label, chosen, none, onChoose }: Props): JSX.Element {
  const [filter, setFilter] = useState("");
  const styles = model.value?.styles ?? [];
  const isUnknown = chosen !== null && !styles.includes(chosen);
  const shown = styles.filter((style) => style === chosen || style.toLowerCase().includes(filter.trim().toLowerCase()));
  return (
    <fieldset class="picker">
      <legend>{label}</legend>
      {styles.length > MANY && (
        <input
          type="search"
          class="filter"
          placeholder={texts.style.filter}
          aria-label={texts.style.filter}
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      )}
      {isUnknown && <p class="hint warning">{texts.style.unknown(chosen)}</p>}
      <div class="chips">
        {[null, ...shown].map((style) => (
          <label key={style ?? ""} class="chip">
            <input type="radio" name={name} checked={isUnknown ? style === null : chosen === style} onChange={() => onChoose(style)} />
            <span>{style === null ? none : texts.style.named(style)}</span>
          </label>
        ))}
      </div>
      {shown.length === 0 && <p class="hint">{texts.style.none(filter)}</p>}
    </fieldset>
  );
}
