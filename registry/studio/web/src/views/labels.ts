// Names beside points, placed so that they cover neither each other nor other points where that can be had.

export interface Point {
  name: string;
  x: number;
  y: number;
}

/** Where a name stands, from its point. */
export interface Label {
  dx: number;
  dy: number;
  anchor: "start" | "middle" | "end";
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const LABELS: readonly Label[] = [
  { dx: 0, dy: -20, anchor: "middle" },
  { dx: 0, dy: 33, anchor: "middle" },
  { dx: 17, dy: 6, anchor: "start" },
  { dx: -17, dy: 6, anchor: "end" },
];
const HEIGHT = 20;
/** Width of a letter. */
const LETTER = 10;
/** Half the side of what a point takes. */
const POINT = 12;

/** Return the label of each point; of those that cover least, the first. */
export function labelsOf(points: readonly Point[], textOf: (name: string) => string): Map<string, Label> {
  const taken = points.map(({ x, y }) => ({ left: x - POINT, right: x + POINT, top: y - POINT, bottom: y + POINT }));
  const found = new Map<string, Label>();
  points.forEach((point, own) => {
    let [best, least, bestBox] = [LABELS[0] as Label, Infinity, taken[own] as Box];
    for (const label of LABELS) {
      const box = boxOf(point, label, textOf(point.name).length * LETTER);
      const covered = taken.reduce((sum, other, place) => (place === own ? sum : sum + overlap(box, other)), 0);
      if (covered < least) [best, least, bestBox] = [label, covered, box];
    }
    found.set(point.name, best);
    taken.push(bestBox);
  });
  return found;
}

function boxOf({ x, y }: Point, { dx, dy, anchor }: Label, width: number): Box {
  const left = x + dx - (anchor === "middle" ? width / 2 : anchor === "end" ? width : 0);
  const bottom = y + dy + HEIGHT / 4;
  return { left, right: left + width, top: bottom - HEIGHT, bottom };
}

function overlap(one: Box, other: Box): number {
  const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return width > 0 && height > 0 ? width * height : 0;
}
