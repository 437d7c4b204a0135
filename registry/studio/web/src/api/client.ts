// Calls to the server this page comes from. What fails does so as a `Refused`, which says why in a sentence, or as a
// `Lost`, where the server could not be reached.
import { texts } from "../texts";
import type { Answer, Model, Opening, Originality, Readiness, Sample, Soundfont, Style } from "./types";

const TOKEN = "musenet-token";

/** The server's answer is no success. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

/** The server could not be reached, or the connection broke. */
export class Lost extends Error {}

export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

/** Send a request and return its response, which is a success. Throws Refused, Lost, and AbortError if `signal` says so. */
export async function call(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) headers["Authorization"] = `Bearer ${token}`;
  const options: RequestInit = { headers, signal: signal ?? null };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.method = "POST";
    options.body = JSON.stringify(body);
  }
  const response = await reach(path, options);
  if (!response.ok) throw await refused(response);
  return response;
}

async function reach(path: string, options: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Lost(texts.errors.lost);
  }
}

async function refused(response: Response): Promise<Refused> {
  const after = Number(response.headers.get("Retry-After"));
  let sentence: string = texts.errors.status(response.status);
  try {
    const content: unknown = await response.json();
    if (typeof content === "object" && content !== null && "error" in content) sentence = String(content.error);
  } catch {
    // no JSON: the status says enough
  }
  return new Refused(response.status, sentence, after > 0 ? after : null);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

async function json<Content>(path: string, body?: unknown): Promise<Content> {
  const response = await call(path, body);
  try {
    return (await response.json()) as Content;
  } catch {
    throw new Lost(texts.errors.lost);
  }
}

/** Return whether the server takes requests, and the version that it serves. It answers with 503 where it takes none. */
export async function fetchReadiness(): Promise<Readiness> {
  const response = await reach("/readyz");
  if (!response.ok && response.status !== 503) throw await refused(response);
  return (await response.json()) as Readiness;
}

/** Return the model that is served. */
export async function fetchModel(): Promise<Model> {
  const { models } = await json<{ models: Model[] }>("/v1/models");
  const model = models[0];
  if (model === undefined) throw new Refused(503, texts.errors.noModel, null);
  return model;
}

export async function fetchStyles(): Promise<Style[]> {
  return (await json<{ styles: Style[] }>("/v1/styles")).styles;
}

export async function fetchOpenings(style: string | null, search: string, limit: number): Promise<{ total: number; openings: Opening[] }> {
  const query = new URLSearchParams({ search, limit: String(limit) });
  if (style !== null) query.set("style", style);
  return json(`/v1/openings?${query.toString()}`);
}

export function fetchPiece(digest: string): Promise<Answer> {
  return json(`/v1/pieces/${encodeURIComponent(digest)}`);
}

export async function fetchSamples(): Promise<Sample[]> {
  return (await json<{ samples: Sample[] }>("/v1/samples")).samples;
}

export function fetchSample(name: string): Promise<Answer> {
  return json(`/v1/samples/${encodeURIComponent(name)}`);
}

/** Return the spans of music that stand in the model's training pieces. */
export function fetchOriginality(piece: string): Promise<Originality> {
  return json("/v1/originality", { piece });
}

/** Return what is known of the soundfont, null where none is installed. */
export async function fetchSoundfont(): Promise<Soundfont | null> {
  return (await json<{ soundfont: Soundfont | null }>("/v1/soundfont")).soundfont;
}

export async function fetchSoundfontFile(): Promise<ArrayBuffer> {
  const response = await call("/v1/soundfont/file");
  try {
    return await response.arrayBuffer();
  } catch {
    throw new Lost(texts.errors.lost);
  }
}
