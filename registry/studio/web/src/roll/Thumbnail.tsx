// A small piano roll of a whole piece.
import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Note } from "../api/types";
import { model } from "../state/server";
import { theme } from "../state/theme";
import { paletteOf } from "./colours";
import { draw } from "./drawing";

interface Props {
  notes: readonly Note[];
  seconds: number;
  kept: number;
  isGiven: (note: Note) => boolean;
}

export function Thumbnail({ notes, seconds, kept, isGiven }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const paint = useRef<() => void>(() => undefined);
  paint.current = () => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (element == null || context == null) return;
    const { clientWidth: width, clientHeight: height } = element;
    [element.width, element.height] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const content = { notes, isGiven, isHeard: () => true, kept, copies: [], instruments: model.value?.instruments ?? [] };
    const view = { width, height, scale: width / Math.max(seconds, 1), left: 0, ruler: 0 };
    draw(context, content, view, paletteOf(element.parentElement ?? element));
  };
  useLayoutEffect(() => paint.current(), [notes, seconds, kept, isGiven]);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => paint.current());
    if (canvas.current !== null) observer.observe(canvas.current);
    return () => observer.disconnect();
  }, []);
  useSignalEffect(() => {
    void theme.value;
    requestAnimationFrame(() => paint.current());
  });
  return <canvas class="thumbnail" ref={canvas} aria-hidden="true" />;
}
