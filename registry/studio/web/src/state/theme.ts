// Dark or light: as the system says, or as chosen here.
import { computed, effect, signal } from "@preact/signals";

const KEY = "musenet-theme";
const DARK = matchMedia("(prefers-color-scheme: dark)");

const system = signal(DARK.matches);
const chosen = signal(localStorage.getItem(KEY));
DARK.addEventListener("change", () => (system.value = DARK.matches));

/** The theme that is shown. */
export const theme = computed<"dark" | "light">(() => (chosen.value === "dark" || chosen.value === "light" ? chosen.value : system.value ? "dark" : "light"));

export function toggleTheme(): void {
  chosen.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, chosen.value);
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
