// The project in the browser's own database, so that nothing is lost when the page is closed or the server is.
import { effect } from "@preact/signals";
import { open, project } from "./history";
import { DEFAULTS, type Piece, type Project } from "./project";

const NAME = "musenet-studio";
const PIECES = "pieces";
const STATE = "state";
const CURRENT = "current";
/** Milliseconds after which a change is written. */
const DELAY = 300;

let saved: Readonly<Record<string, Piece>> = {};

function request<Result>(made: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    made.onsuccess = () => resolve(made.result);
    made.onerror = () => reject(made.error ?? new Error("IndexedDB"));
  });
}

function database(): Promise<IDBDatabase> {
  const opened = indexedDB.open(NAME, 1);
  opened.onupgradeneeded = () => {
    opened.result.createObjectStore(PIECES, { keyPath: "id" });
    opened.result.createObjectStore(STATE);
  };
  return request(opened);
}

/** Open the project that was kept, if there is one, and keep all that it becomes; `failed` is called where that fails. */
export async function keepProject(failed: () => void): Promise<void> {
  let store: IDBDatabase;
  try {
    store = await database();
    const reading = store.transaction([PIECES, STATE]);
    const [pieces, state] = await Promise.all([
      request<Piece[]>(reading.objectStore(PIECES).getAll()),
      request<Omit<Project, "pieces"> | undefined>(reading.objectStore(STATE).get(CURRENT)),
    ]);
    if (state !== undefined) {
      saved = Object.fromEntries(pieces.sort((a, b) => a.made - b.made).map((piece) => [piece.id, piece]));
      open({ ...state, settings: { ...DEFAULTS, ...state.settings }, pieces: saved });
    }
  } catch {
    failed();
    return;
  }
  let timer: number | undefined;
  const save = () => {
    clearTimeout(timer);
    timer = undefined;
    write(store, project.value).catch(failed);
  };
  effect(() => {
    void project.value;
    clearTimeout(timer);
    timer = window.setTimeout(save, DELAY);
  });
  addEventListener("pagehide", () => {
    if (timer !== undefined) save();
  });
}

/** Write what has changed since the last time. */
function write(store: IDBDatabase, { pieces, ...state }: Project): Promise<void> {
  const writing = store.transaction([PIECES, STATE], "readwrite");
  const kept = writing.objectStore(PIECES);
  for (const piece of Object.values(pieces)) if (saved[piece.id] !== piece) kept.put(piece);
  for (const id of Object.keys(saved)) if (!(id in pieces)) kept.delete(id);
  writing.objectStore(STATE).put(state, CURRENT);
  saved = pieces;
  return new Promise((resolve, reject) => {
    writing.oncomplete = () => resolve();
    writing.onerror = () => reject(writing.error ?? new Error("IndexedDB"));
    writing.onabort = writing.onerror;
  });
}
