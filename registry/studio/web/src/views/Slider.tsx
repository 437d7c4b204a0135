// A slider with its label, and its value in words.
import type { JSX } from "preact";
import { useId } from "preact/hooks";

interface Props {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  text: string;
  onInput: (value: number) => void;
  /** Give the choice back to the model; null where there is none. */
  onReset?: { label: string; reset: () => void } | null;
}

export function Slider({ label, value, min, max, step, text, onInput, onReset = null }: Props): JSX.Element {
  const id = useId();
  return (
    <div class="slider">
      <label for={id}>{label}</label>
      <output for={id}>{text}</output>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={text}
        style={{ "--share": `${shareOf(value, min, max)}%` }}
        onInput={(event) => onInput(Number(event.currentTarget.value))}
      />
      {onReset !== null && (
        <button type="button" class="link" onClick={onReset.reset}>
          {onReset.label}
        </button>
      )}
    </div>
  );
}

/** Return where a value lies between its bounds, in per cent. */
export function shareOf(value: number, min: number, max: number): number {
  return max > min ? Math.min(Math.max((100 * (value - min)) / (max - min), 0), 100) : 0;
}
