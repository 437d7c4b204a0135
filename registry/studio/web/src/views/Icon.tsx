// The icons, drawn by strokes on a grid of 24.
import type { JSX } from "preact";

const PATHS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  stop: "M7 7h10v10H7z",
  loop: "M4 12a6 6 0 0 1 6-6h8m0 0-3-3m3 3-3 3M20 12a6 6 0 0 1-6 6H6m0 0 3 3m-3-3 3-3",
  volume: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11",
  mixer: "M6 4v9m0 4v3M12 4v3m0 4v9M18 4v11m0 4v1M3.5 15h5M9.5 9h5M15.5 17h5",
  export: "M12 4v11m0 0 4-4m-4 4-4-4M5 19h14",
  minus: "M6 12h12",
  plus: "M6 12h12M12 6v12",
  fit: "M4 8V4h4M20 8V4h-4M4 16v4h4M20 16v4h-4",
  cut: "M9 7v10M15 7v10",
  undo: "M4 9h10a5.5 5.5 0 0 1 0 11h-4M4 9l4-4M4 9l4 4",
  redo: "M20 9H10a5.5 5.5 0 0 0 0 11h4M20 9l-4-4M20 9l-4 4",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5 10 17.5 19.5 7",
  again: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  rename: "M5 19h3.5L19 8.5 15.5 5 5 15.5zM13 7.5l3.5 3.5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  notes: "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  file: "M7 3.5h7l4 4v13H7zM14 3.5v4h4",
  arrow: "M5 12h14m0 0-5-5m5 5-5 5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  more: "M6 12h.01M12 12h.01M18 12h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class={`i i-${name}`} viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
