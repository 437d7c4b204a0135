// The piano roll: scrolled and zoomed, with play head, a span that is selected, and the place where a piece is cut.
import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren, JSX, TargetedPointerEvent } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Copy, Note } from "../api/types";
import { player } from "../player/player";
import { model } from "../state/server";
import { theme } from "../state/theme";
import { texts } from "../texts";
import { Icon } from "../views/Icon";
import { instrumentColour, paletteOf } from "./colours";
import { type Content, draw, type View } from "./drawing";
import { drumsOf, lanesOf, longest, rulerHeight } from "./lanes";
import { Cut, Selection } from "./overlays";
import { drawKeys, drawLit, soundingAt } from "./sounding";

interface Props {
  id: string;
  notes: readonly Note[];
  seconds: number;
  /** To which it may grow. */
  expected: number;
  kept: number;
  isGiven: (note: Note) => boolean;
  copies: readonly Copy[];
  /** Seconds that are kept when the piece goes on; null where it does not. */
  cut: number | null;
  onCut: ((seconds: number) => void) | null;
  /** Have the player take it, before a place of it is sought. */
  onTake: () => void;
  /** Shown below it. */
  children: ComponentChildren;
}

/** Pixels a second at most. */
const CLOSEST = 400;
const ZOOM = 1.5;
/** Pixels that the pointer moves before a click is a drag. */
const DRAG = 4;
const NOTHING: readonly Copy[] = [];

export function Roll(props: Props): JSX.Element {
  const { id, notes, seconds, expected, kept, isGiven, copies, cut, onCut, onTake, children } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const lit = useRef<HTMLCanvasElement>(null);
  const keys = useRef<HTMLCanvasElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0, ruler: 0 });
  /** Pixels a second; null: all of it is in view. */
  const [chosen, setChosen] = useState<number | null>(null);
  const length = Math.max(seconds, expected, 1);
  const fit = Math.max((size.width - 2) / length, 0.5);
  const scale = Math.max(chosen ?? fit, Math.min(fit, CLOSEST));

  useEffect(() => setChosen(null), [id]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight, ruler: rulerHeight() }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const content: Content = {
    notes,
    isGiven,
    isHeard: (instrument) => player.isHeard(instrument),
    kept,
    copies: copies.length > 0 ? copies : NOTHING,
    instruments: model.value?.instruments ?? [],
  };
  const instruments = content.instruments;
  const drums = useMemo(() => drumsOf(instruments), [instruments]);
  const lanes = useMemo(() => lanesOf({ notes }, drums, size.height, size.ruler), [notes, drums, size]);
  const reach = useMemo(() => longest(notes), [notes]);
  const shownTheme = theme.value;
  const palette = useMemo(() => (canvas.current === null ? null : paletteOf(document.body)), [shownTheme, size.width === 0]);
  const viewNow = (): View => ({ ...size, scale, left: (scroller.current?.scrollLeft ?? 0) / scale });
  const paint = useRef<() => void>(() => undefined);
  paint.current = () => {
    const context = contextOf(canvas.current, size.width, size.height);
    if (context === null || palette === null) return;
    draw(context, content, viewNow(), palette);
    light.current(true);
  };
  function paintKeys(down: ReadonlyMap<number, string>): void {
    const width = keys.current?.clientWidth ?? 0;
    const context = contextOf(keys.current, width, size.height);
    if (context !== null && palette !== null) drawKeys(context, width, size.height, size.ruler, down, palette, lanes);
  }
  const lighted = useRef<readonly Note[]>([]);
  const light = useRef<(isForced: boolean) => void>(() => undefined);
  /** Light up what sounds now; without force only where that has changed. */
  light.current = (isForced) => {
    const isMine = player.music.value?.id === id && player.state.value === "playing";
    const found = isMine ? soundingAt(content, drums, reach, player.position) : [];
    if (!isForced && found.length === lighted.current.length && found.every((note, at) => note === lighted.current[at])) return;
    const context = contextOf(lit.current, size.width, size.height);
    if (context === null || palette === null) return;
    drawLit(context, found, content, drums, viewNow(), palette, lanes);
    const pitched = found.filter((note) => !drums.has(note[4]));
    paintKeys(new Map(pitched.map((note) => [note[2], instrumentColour(instruments, note[4], palette.isDark)])));
    lighted.current = found;
  };
  useLayoutEffect(() => paint.current(), [notes, size, scale, kept, copies, isGiven, palette]);
  useEffect(() => void document.fonts.ready.then(() => paint.current()), []);
  useSignalEffect(() => {
    void [player.muted.value, player.solo.value];
    requestAnimationFrame(() => paint.current());
  });

  const place = useRef<() => void>(() => undefined);
  place.current = () => {
    if (head.current === null || scroller.current === null) return;
    const isMine = player.music.value?.id === id;
    const x = player.position * scale;
    head.current.hidden = !isMine;
    head.current.style.transform = `translateX(${x}px)`;
    light.current(false);
    if (!isMine || player.state.value !== "playing") return;
    const { scrollLeft, clientWidth } = scroller.current;
    if (x > scrollLeft + clientWidth * 0.85 || x < scrollLeft) scroller.current.scrollLeft = x - clientWidth * 0.15;
  };
  useEffect(() => place.current());
  useSignalEffect(() => {
    void [player.shown.value, player.music.value];
    let frame = 0;
    const move = () => {
      place.current();
      if (player.state.value === "playing") frame = requestAnimationFrame(move);
    };
    move();
    return () => cancelAnimationFrame(frame);
  });

  function zoom(to: number | null, at: number = size.width / 2): void {
    const element = scroller.current;
    if (element === null) return;
    const next = to === null || to <= fit ? null : Math.min(to, CLOSEST);
    const second = (element.scrollLeft + at) / scale;
    setChosen(next);
    requestAnimationFrame(() => {
      element.scrollLeft = second * (next ?? fit) - at;
      paint.current();
    });
  }

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - element.getBoundingClientRect().left);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });

  const secondAt = (event: PointerEvent): number => {
    const box = scroller.current?.getBoundingClientRect();
    if (box === undefined || scroller.current === null) return 0;
    return Math.min(Math.max((event.clientX - box.left + scroller.current.scrollLeft) / scale, 0), seconds);
  };

  const from = useRef<{ x: number; second: number } | null>(null);
  const isTouch = useRef(false);
  function down(event: TargetedPointerEvent<HTMLCanvasElement>): void {
    if (event.button !== 0) return;
    isTouch.current = event.pointerType === "touch";
    from.current = { x: event.clientX, second: secondAt(event) };
    if (!isTouch.current) event.currentTarget.setPointerCapture(event.pointerId);
  }
  function move(event: TargetedPointerEvent<HTMLCanvasElement>): void {
    const begun = from.current;
    if (begun === null || isTouch.current || Math.abs(event.clientX - begun.x) < DRAG) return;
    if (player.music.value?.id !== id) onTake();
    const [begin, end] = [begun.second, secondAt(event)].sort((a, b) => a - b) as [number, number];
    player.span.value = { begin, end };
  }
  function up(event: TargetedPointerEvent<HTMLCanvasElement>): void {
    const begun = from.current;
    from.current = null;
    if (begun === null || Math.abs(event.clientX - begun.x) >= DRAG) return;
    if (player.music.value?.id !== id) onTake();
    player.span.value = null;
    player.seek(secondAt(event));
  }

  const names = useMemo(() => [...new Set(notes.map((note) => note[4]))], [notes]);
  return (
    <div class="roll">
      <div class="roll-body">
        <canvas class="roll-keys" ref={keys} aria-hidden="true" />
        <div class="roll-view" ref={scroller} onScroll={() => paint.current()} tabIndex={0} role="region" aria-label={texts.roll.region}>
          <div class="roll-whole" style={{ width: `${Math.max(length * scale, size.width)}px` }}>
            <canvas
              ref={canvas}
              role="img"
              aria-label={texts.roll.describe(notes.length, names, seconds)}
              style={{ width: `${size.width}px`, height: `${size.height}px` }}
              onPointerDown={down}
              onPointerMove={move}
              onPointerUp={up}
              onPointerCancel={() => (from.current = null)}
            />
            <canvas class="roll-lit" ref={lit} aria-hidden="true" style={{ width: `${size.width}px`, height: `${size.height}px` }} />
            <Selection id={id} scale={scale} />
            <div class="roll-head" ref={head} hidden />
            {cut !== null && onCut !== null && <Cut seconds={seconds} cut={cut} scale={scale} onCut={onCut} secondAt={secondAt} />}
          </div>
        </div>
      </div>
      <div class="roll-foot">
        {children}
        <div class="roll-tools" role="group" aria-label={texts.roll.zoom}>
          <button type="button" class="icon" onClick={() => zoom(scale / ZOOM)} disabled={chosen === null} aria-label={texts.roll.zoomOut} title={texts.roll.zoomOut}>
            <Icon name="minus" />
          </button>
          <button type="button" class="icon" onClick={() => zoom(scale * ZOOM)} aria-label={texts.roll.zoomIn} title={texts.roll.zoomIn}>
            <Icon name="plus" />
          </button>
          <button type="button" class="icon" onClick={() => zoom(null)} disabled={chosen === null} aria-label={texts.roll.zoomFit} title={texts.roll.zoomFit}>
            <Icon name="fit" />
          </button>
        </div>
      </div>
    </div>
  );
}

/** Return the context of a canvas of this size in pixels of the page; null where there is nothing to see. */
function contextOf(canvas: HTMLCanvasElement | null, width: number, height: number): CanvasRenderingContext2D | null {
  const context = canvas?.getContext("2d") ?? null;
  if (canvas === null || context === null || width === 0 || height === 0) return null;
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
