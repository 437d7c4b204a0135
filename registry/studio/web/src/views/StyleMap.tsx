// The map of styles: those that the model holds for alike are near each other.
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { fetchStyles } from "../api/client";
import type { Style } from "../api/types";
import { compose } from "../state/composing";
import { set, settings } from "../state/history";
import { player } from "../player/player";
import { composedSimply } from "../state/requests";
import { go } from "../state/route";
import { isReady, model, notice } from "../state/server";
import { texts } from "../texts";
import { labelsOf } from "./labels";

/** Units of the drawing. */
const WIDTH = 1000;
const HEIGHT = 560;
const MARGIN = 70;
/** Styles up to which all are named. */
const NAMED = 60;
/** Opacity of the lines to the nearest styles, the nearest first. */
const NEARNESS = [0.75, 0.55, 0.4, 0.28, 0.2];

export function StyleMap(): JSX.Element {
  const [styles, setStyles] = useState<Style[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [near, setNear] = useState<Style | null>(null);
  const version = model.value?.digest;
  useEffect(() => {
    let isOver = false;
    fetchStyles().then(
      (found) => {
        if (!isOver) setStyles(found);
      },
      (reason: unknown) => {
        notice(reason);
        if (!isOver) setError(reason instanceof Error ? reason.message : texts.errors.unknown);
      },
    );
    return () => {
      isOver = true;
    };
  }, [version, isReady.value]);
  const places = new Map(styles?.map((style) => [style.name, placeOf(style)]));
  const labels = useMemo(() => labelsOf((styles ?? []).map((style) => ({ name: style.name, ...placeOf(style) })), texts.style.named), [styles]);
  const neighbours = new Set(near?.nearest ?? []);
  return (
    <section class="map" aria-labelledby="map-title">
      <h1 id="map-title">{texts.map.title}</h1>
      <p class="lead">{texts.map.lead}</p>
      {error !== null && styles === null && <p class="hint warning">{error}</p>}
      {styles === null && error === null && <p class="hint">{texts.map.loading}</p>}
      {styles !== null && (
        <div class="map-frame">
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={texts.map.title}>
            {near?.nearest.map((name, rank) => {
              const [from, to] = [places.get(near.name), places.get(name)];
              return from && to ? <line key={name} x1={from.x} y1={from.y} x2={to.x} y2={to.y} opacity={NEARNESS[rank] ?? 0.2} /> : null;
            })}
            {styles.map((style) => {
              const { x, y } = placeOf(style);
              const isNear = near?.name === style.name || neighbours.has(style.name);
              const label = labels.get(style.name);
              const isNamed = styles.length <= NAMED || isNear;
              return (
                <g
                  key={style.name}
                  role="button"
                  tabIndex={0}
                  class={near !== null && !isNear ? "far" : settings.value.style === style.name ? "chosen" : ""}
                  transform={`translate(${x} ${y})`}
                  style={{ "--hue": hueOf(style) }}
                  aria-label={texts.map.item(style.name, style.nearest)}
                  onPointerEnter={() => setNear(style)}
                  onPointerLeave={() => setNear(null)}
                  onFocus={() => setNear(style)}
                  onBlur={() => setNear(null)}
                  onClick={() => begin(style.name)}
                  onKeyDown={(event) => {
                    if (event.key !== "Enter" && event.key !== " ") return;
                    event.preventDefault();
                    event.stopPropagation();
                    begin(style.name);
                  }}
                >
                  <circle class="target" r={22} />
                  <circle class="halo" r={15} />
                  <circle class="point" r={8} />
                  {isNamed && label !== undefined && (
                    <text x={label.dx} y={label.dy} text-anchor={label.anchor}>
                      {texts.style.named(style.name)}
                    </text>
                  )}
                </g>
              );
            })}
          </svg>
        </div>
      )}
      <p class="hint map-near" aria-live="polite">
        {near === null ? texts.map.hint : texts.map.near(near.name, near.nearest)}
      </p>
    </section>
  );
}

function placeOf({ x, y }: Style): { x: number; y: number } {
  return { x: WIDTH / 2 + x * (WIDTH / 2 - MARGIN), y: HEIGHT / 2 + y * (HEIGHT / 2 - MARGIN) };
}

/** Return a colour by the direction from the middle of the map, so that neighbours are coloured alike. */
function hueOf({ x, y }: Style): number {
  return Math.round((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
}

/** Compose in a style, and go where it is heard. */
function begin(style: string): void {
  if (model.value === null || !isReady.value) return;
  set({ style, second: null, start: "nothing" });
  void player.load();
  void compose({ posted: composedSimply(settings.value, model.value), parent: null, origin: "composed", plays: true });
  go("listen");
}
