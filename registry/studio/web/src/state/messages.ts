// Messages to the user: errors and notes, in words, read out by screen readers.
import { signal } from "@preact/signals";

export interface Message {
  id: number;
  text: string;
  kind: "error" | "note";
}

/** Milliseconds for which a note stands; an error stands until it is dismissed. */
const STANDS = 8000;
/** That are shown at a time. */
const MOST = 3;
let count = 0;

export const messages = signal<readonly Message[]>([]);

export function say(text: string, kind: Message["kind"]): void {
  if (messages.value.some((message) => message.text === text)) return;
  const id = ++count;
  messages.value = [...messages.value, { id, text, kind }].slice(-MOST);
  if (kind === "note") setTimeout(() => dismiss(id), STANDS);
}

export function dismiss(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}
