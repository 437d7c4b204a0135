// Files of the user's own: MIDI files to begin with, and projects.
import type { Model } from "../api/types";
import { texts } from "../texts";
import { fromFile, toBase64, Unreadable } from "./files";
import { change, set } from "./history";
import { say } from "./messages";

/** What base64 adds, and what else a request has. */
const GROWTH = 4 / 3;
const REST = 4096;

/** Take a file as the beginning of pieces; what is wrong with it is said in words. Return true if it was taken. */
export async function takeMidi(file: File, model: Model): Promise<boolean> {
  const most = (model.limits.upload_bytes - REST) / GROWTH;
  if (file.size > most) return refuse(texts.errors.tooLarge(file.name, file.size, most));
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    return refuse(texts.errors.unreadable(file.name));
  }
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic !== "MThd" && magic !== "RIFF") return refuse(texts.errors.noMidi(file.name));
  set({ start: "midi", upload: { name: file.name, base64: toBase64(bytes) } });
  return true;
}

/** Open a project file in place of the project; that can be undone. Return true if it was opened. */
export async function takeProject(file: File): Promise<boolean> {
  try {
    const read = fromFile(await file.text(), file.name);
    change(() => read);
    return true;
  } catch (error) {
    return refuse(error instanceof Unreadable ? error.message : texts.errors.unreadable(file.name));
  }
}

export function isProject(file: File): boolean {
  return file.name.toLowerCase().endsWith(".json");
}

function refuse(text: string): false {
  say(text, "error");
  return false;
}
