// What the address says: the view, and a piece that was linked to.
import { signal } from "@preact/signals";

export const VIEWS = ["listen", "compose", "map", "about"] as const;
export type View = (typeof VIEWS)[number];

/** A piece of an answer that the server has or makes again. */
export interface Link {
  digest: string;
  candidate: number;
  /** The request by which it is made again, if it is no longer kept; null where it began with a file. */
  request: Record<string, unknown> | null;
}

export const view = signal<View>("listen");
export const link = signal<Link | null>(null);

function read(): void {
  const [name = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  view.value = VIEWS.find((each) => each === name) ?? "listen";
  const given = new URLSearchParams(query);
  const digest = given.get("piece");
  link.value = digest === null ? null : { digest, candidate: Number(given.get("candidate") ?? 0), request: decoded(given.get("request")) };
}

function decoded(text: string | null): Record<string, unknown> | null {
  if (text === null) return null;
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === "object" ? (content as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

export function hrefOf(name: View): string {
  return name === "listen" ? "#/" : `#/${name}`;
}

export function go(name: View): void {
  location.hash = hrefOf(name);
}

/** Return the address of this page with a piece. */
export function addressOf({ digest, candidate, request }: Link): string {
  const query = new URLSearchParams({ piece: digest, candidate: String(candidate) });
  if (request !== null) query.set("request", JSON.stringify(request));
  return `${location.origin}${location.pathname}#/listen?${query.toString()}`;
}

addEventListener("hashchange", read);
read();
