// The project as it is, with what it was before and will be again: undo and redo.
import { computed, signal } from "@preact/signals";
import { texts } from "../texts";
import { emptyProject, type Project, type Settings } from "./project";

/** Steps that can be undone. */
const DEPTH = 200;
/** Milliseconds within which changes of one setting are one step. */
const ONE_STEP = 1500;

const now = signal<Project>(emptyProject(texts.project.untitled));
const past = signal<readonly Project[]>([]);
const future = signal<readonly Project[]>([]);
let lastKey: string | null = null;
let lastTime = 0;

export const project = computed(() => now.value);
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);
export const current = computed(() => {
  const { current: id, pieces } = now.value;
  return id === null ? null : (pieces[id] ?? null);
});

/** Replace the project by what `change` makes of it, as a step; quick ones with the same `key` are one. */
export function change(make: (project: Project) => Project, key: string | null = null): void {
  const before = now.value;
  const after = make(before);
  if (after === before) return;
  const goesOn = key !== null && key === lastKey && Date.now() - lastTime < ONE_STEP;
  if (!goesOn) past.value = [...past.value, before].slice(-DEPTH);
  future.value = [];
  now.value = after;
  lastKey = key;
  lastTime = Date.now();
}

/** Begin with a project that was read; it cannot be undone. */
export function open(read: Project): void {
  past.value = [];
  future.value = [];
  now.value = read;
  lastKey = null;
}

export function undo(): void {
  const before = past.value.at(-1);
  if (before === undefined) return;
  future.value = [now.value, ...future.value];
  past.value = past.value.slice(0, -1);
  now.value = before;
  lastKey = null;
}

export function redo(): void {
  const [after, ...rest] = future.value;
  if (after === undefined) return;
  past.value = [...past.value, now.value];
  future.value = rest;
  now.value = after;
  lastKey = null;
}

/** Choose a piece; that is walking, not changing, and no step. */
export function choose(id: string | null): void {
  if (now.value.current !== id) now.value = { ...now.value, current: id };
}

export const settings = computed(() => now.value.settings);

export function set(changes: Partial<Settings>): void {
  change((project) => ({ ...project, settings: { ...project.settings, ...changes } }), Object.keys(changes).join());
}
