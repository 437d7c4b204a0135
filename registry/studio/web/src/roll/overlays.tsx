// What lies over a roll: the span that is selected, and the place where a piece is cut.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { player, type Span } from "../player/player";
import { texts } from "../texts";
import { Icon } from "../views/Icon";
import { clock } from "./drawing";

export function Selection({ id, scale }: { id: string; scale: number }): JSX.Element | null {
  const span = player.span.value;
  if (span === null || player.music.value?.id !== id) return null;
  return <div class="roll-span" style={{ left: `${span.begin * scale}px`, width: `${(span.end - span.begin) * scale}px` }} />;
}

interface CutProps {
  seconds: number;
  cut: number;
  scale: number;
  onCut: (seconds: number) => void;
  secondAt: (event: PointerEvent) => number;
}

/** The place where the piece is cut, to be dragged. */
export function Cut({ seconds, cut, scale, onCut, secondAt }: CutProps): JSX.Element {
  const isDragged = useRef(false);
  const steps: Record<string, number> = { ArrowLeft: -0.25, ArrowRight: 0.25, PageDown: -2, PageUp: 2, Home: -Infinity, End: Infinity };
  return (
    <div class="roll-cut" style={{ left: `${cut * scale}px`, width: `${Math.max((seconds - cut) * scale, 0)}px` }}>
      <button
        type="button"
        class={`roll-grip${cut >= seconds - 0.01 ? " at-end" : ""}`}
        role="slider"
        aria-label={texts.roll.cut}
        aria-valuemin={0}
        aria-valuemax={round(seconds)}
        aria-valuenow={round(cut)}
        aria-valuetext={clock(cut, true)}
        title={texts.roll.cutHint}
        onPointerDown={(event) => {
          isDragged.current = true;
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => {
          if (isDragged.current) onCut(secondAt(event));
        }}
        onPointerUp={() => (isDragged.current = false)}
        onPointerCancel={() => (isDragged.current = false)}
        onKeyDown={(event) => {
          const step = steps[event.key];
          if (step === undefined) return;
          event.preventDefault();
          event.stopPropagation();
          onCut(Math.min(Math.max(cut + step, 0), seconds));
        }}
      >
        <Icon name="cut" />
      </button>
    </div>
  );
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

export function spanText(span: Span): string {
  return `${clock(span.begin, true)} – ${clock(span.end, true)}`;
}
