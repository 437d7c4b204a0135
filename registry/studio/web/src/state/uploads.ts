// MIDI files of the user's own.
import type { Model } from "../api/types";
import { texts } from "../texts";
import { toBase64 } from "./files";
import { set } from "./history";
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

function refuse(text: string): false {
  say(text, "error");
  return false;
}
