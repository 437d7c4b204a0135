// Project files: a project as JSON, to keep and to pass on.
import { texts } from "../texts";
import { DEFAULTS, type Piece, type Project } from "./project";

const FORMAT = "musenet-studio";
const VERSION = 1;

/** What is wrong with a file, in a sentence. */
export class Unreadable extends Error {}

export function toFile(project: Project): Blob {
  const { pieces, ...rest } = project;
  const content = { format: FORMAT, version: VERSION, ...rest, pieces: Object.values(pieces) };
  return new Blob([JSON.stringify(content)], { type: "application/json" });
}

/** Return the project of a file. Throws Unreadable. */
export function fromFile(text: string, name: string): Project {
  const content = parse(text);
  if (content === null || content["format"] !== FORMAT) throw new Unreadable(texts.errors.noProject(name));
  if (content["version"] !== VERSION) throw new Unreadable(texts.errors.otherVersion(name, String(content["version"])));
  const listed = content["pieces"];
  if (!Array.isArray(listed) || !listed.every(isPiece)) throw new Unreadable(texts.errors.damagedProject(name));
  const pieces = Object.fromEntries(listed.map((piece) => [piece.id, piece]));
  if (listed.some((piece) => piece.parent !== null && !(piece.parent in pieces))) {
    throw new Unreadable(texts.errors.damagedProject(name));
  }
  const current = content["current"];
  return {
    name: typeof content["name"] === "string" ? content["name"] : name,
    pieces,
    current: typeof current === "string" && current in pieces ? current : null,
    settings: { ...DEFAULTS, ...(isRecord(content["settings"]) ? content["settings"] : {}) },
  };
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const content: unknown = JSON.parse(text);
    return isRecord(content) ? content : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPiece(value: unknown): value is Piece {
  if (!isRecord(value) || !isRecord(value["candidate"])) return false;
  const { id, parent, title, kept, model, candidate } = value;
  const { notes, midi, seconds, node } = candidate as Record<string, unknown>;
  return (
    typeof id === "string" &&
    (parent === null || typeof parent === "string") &&
    typeof title === "string" &&
    typeof kept === "number" &&
    isRecord(model) &&
    typeof midi === "string" &&
    typeof seconds === "number" &&
    isRecord(node) &&
    Array.isArray(notes) &&
    notes.every((note) => Array.isArray(note) && note.length === 5)
  );
}

/** Have the browser save a file. */
export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return bytes as base64. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
