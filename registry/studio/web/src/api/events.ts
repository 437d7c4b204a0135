// Server-sent events of a request that is posted, which EventSource cannot do.
import { texts } from "../texts";
import { call, isAbort, Lost } from "./client";
import type { Event, Posted } from "./types";

/** Send a request and yield its events; the last one is `finished` or `failed`. Throws as `call` does. */
export async function* events(posted: Posted, signal: AbortSignal): AsyncGenerator<Event> {
  const response = await call(posted.path, { ...posted.body, stream: true }, signal);
  if (response.body === null) throw new Lost(texts.errors.lost);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parse(block);
        if (event === null) continue;
        yield event;
        if (event.event === "finished" || event.event === "failed") return;
      }
    }
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Lost(texts.errors.lost);
  } finally {
    void reader.cancel().catch(() => undefined);
  }
  throw new Lost(texts.errors.lost);
}

/** Return the event of a block of lines, null for one of comments. */
function parse(block: string): Event | null {
  let event = "";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return event === "" ? null : ({ event, data: JSON.parse(data.join("\n")) } as Event);
}
