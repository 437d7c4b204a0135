// The server: whether it can be reached, the model that it serves, and what else the page asks it for once.
import { computed, signal } from "@preact/signals";
import { fetchModel, fetchReadiness, fetchSample, fetchSamples, Lost, Refused } from "../api/client";
import type { Answer, Model, Sample } from "../api/types";

export type Connection = "connecting" | "loading" | "failed" | "ready" | "lost" | "locked";

/** Milliseconds between looks at a server that answers, and at one that does not. */
const CALM = 5000;
const EAGER = 1000;

export const connection = signal<Connection>("connecting");
export const model = signal<Model | null>(null);
export const samples = signal<readonly Sample[]>([]);
export const isReady = computed(() => connection.value === "ready");

/** Answers of samples by name, of the model that is served. */
let sampleAnswers = new Map<string, Promise<Answer>>();
let timer: number | undefined;

/** Look whether the server is there and which model it serves, and look again from time to time. */
export async function look(): Promise<void> {
  clearTimeout(timer);
  try {
    const ready = await fetchReadiness();
    if (ready.status === "ready" && (model.value === null || model.value.version !== ready.version)) {
      model.value = await fetchModel();
      sampleAnswers = new Map();
      samples.value = await fetchSamples();
    }
    connection.value = ready.status === "draining" ? "lost" : ready.status;
  } catch (error) {
    connection.value = stateAfter(error);
  }
  timer = window.setTimeout(() => void look(), connection.value === "ready" ? CALM : EAGER);
}

/** Return a ready-made sample; it is asked for once. Throws as `call` does. */
export function sampleAnswer(name: string): Promise<Answer> {
  const known = sampleAnswers.get(name);
  if (known !== undefined) return known;
  const answer = fetchSample(name);
  sampleAnswers.set(name, answer);
  answer.catch(() => sampleAnswers.delete(name));
  return answer;
}

function stateAfter(error: unknown): Connection {
  if (error instanceof Refused) return error.status === 401 ? "locked" : error.status === 503 ? "loading" : "lost";
  return "lost";
}

/** Take note of what a failed request says of the connection. */
export function notice(error: unknown): void {
  const lost = error instanceof Lost;
  if (!lost && !(error instanceof Refused && (error.status === 401 || error.status === 503))) return;
  connection.value = lost ? "lost" : stateAfter(error);
  clearTimeout(timer);
  timer = window.setTimeout(() => void look(), EAGER);
}

/** Return when the server is ready. Throws AbortError if `signal` says so before. */
export function untilReady(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = isReady.subscribe((ready) => {
      if (!ready) return;
      queueMicrotask(() => stop());
      signal.removeEventListener("abort", abort);
      resolve();
    });
    function abort(): void {
      stop();
      reject(new DOMException("aborted", "AbortError"));
    }
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
