// Colours of instruments, the same as in the piano rolls that `musenet roll` writes, a little lighter on dark ground.
import type { Instrument } from "../api/types";

const LIGHT = [
  "#3b6fb6", "#c8453b", "#8c2f6b", "#4b8b3b", "#d98a1f", "#2aa198", "#b050f0", "#a8a800", "#703808", "#10b0f0",
  "#f82090", "#105028", "#4028b8", "#a0a0d0", "#786800", "#006870", "#d09090",
];
const DARK = [
  "#6f9fdc", "#ee7a70", "#d070ab", "#7fc06d", "#f0aa4c", "#4cc9bf", "#c98af6", "#cfcf3c", "#c08a58", "#5ccaf8",
  "#ff6cb8", "#4fae78", "#9484ff", "#b9b9e6", "#c2b03c", "#3fb0ba", "#e2aeae",
];

/** Colours that are not of instruments, read from the style sheet. */
export interface Palette {
  isDark: boolean;
  text: string;
  soft: string;
  line: string;
  ground: string;
  given: string;
  shade: string;
  whiteKey: string;
  blackKey: string;
  onKey: string;
  drums: string;
  copied: string;
}

/** Return the colours that the style sheet has now for an element. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  // light-dark() is resolved in properties that are colours only
  const probe = document.createElement("span");
  element.append(probe);
  const read = (name: string) => {
    probe.style.color = colour(name);
    return getComputedStyle(probe).color;
  };
  const palette = {
    isDark: isDarkColour(read("--ground")),
    text: read("--text"),
    soft: read("--soft"),
    line: read("--line"),
    ground: read("--raised"),
    given: read("--given"),
    shade: read("--shade"),
    whiteKey: read("--white-key"),
    blackKey: read("--black-key"),
    onKey: read("--on-key"),
    drums: read("--drums"),
    copied: read("--copied"),
  };
  probe.remove();
  return palette;
}

function isDarkColour(colour: string): boolean {
  const [red = 255, green = 255, blue = 255] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return red + green + blue < 384;
}

export function instrumentColour(instruments: readonly Instrument[], name: string, isDark: boolean): string {
  const colours = isDark ? DARK : LIGHT;
  const place = Math.max(instruments.findIndex((instrument) => instrument.name === name), 0);
  return colours[place % colours.length] as string;
}
