// Fields for the place at which a piece goes on, and for the part of it that is composed anew.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { player } from "../player/player";
import { clock } from "../roll/drawing";
import { cut, part, parts, setCut } from "../state/action";
import { current } from "../state/history";
import { model } from "../state/server";
import { texts } from "../texts";
import { instrumentsOf, Swatch } from "./Legend";
import { Slider } from "./Slider";

/** Where the piece is cut. */
export function CutField(): JSX.Element | null {
  const piece = current.value;
  if (piece === null) return null;
  const { seconds } = piece.candidate;
  const at = Math.min(cut.value, seconds);
  return <Slider label={texts.actions.from} value={at} min={0} max={seconds} step={0.05} text={clock(at, true)} onInput={setCut} />;
}

/** The span as two numbers, for keyboards and fingers, and the instruments in it. */
export function PartFields(): JSX.Element | null {
  const piece = current.value;
  const chosen = part.value;
  const names = useMemo(() => instrumentsOf(piece?.candidate.notes ?? []), [piece, model.value]);
  if (piece === null || chosen === null) return null;
  const { seconds } = piece.candidate;
  const most = Math.round(seconds * 10) / 10;
  function select(begin: number, end: number): void {
    if (Number.isFinite(begin) && Number.isFinite(end)) player.span.value = { begin: Math.max(begin, 0), end: Math.min(end, seconds) };
  }
  return (
    <>
      <div class="pair">
        <label>
          {texts.actions.begins}
          <input type="number" min={0} max={most} step={0.1} value={chosen.begin.toFixed(1)} onChange={(event) => select(event.currentTarget.valueAsNumber, chosen.end)} />
        </label>
        <label>
          {texts.actions.ends}
          <input type="number" min={0} max={most} step={0.1} value={chosen.end.toFixed(1)} onChange={(event) => select(chosen.begin, event.currentTarget.valueAsNumber)} />
        </label>
      </div>
      {names.length > 1 && (
        <fieldset class="picker">
          <legend>{texts.actions.parts}</legend>
          <div class="chips">
            {names.map((name) => (
              <label key={name} class="chip">
                <input
                  type="checkbox"
                  checked={parts.value.includes(name)}
                  onChange={() => (parts.value = parts.value.includes(name) ? parts.value.filter((each) => each !== name) : [...parts.value, name])}
                />
                <span>
                  <Swatch name={name} />
                  {texts.instrument(name)}
                </span>
              </label>
            ))}
          </div>
        </fieldset>
      )}
    </>
  );
}
