// WAV files of pieces.
import { fetchSoundfontFile } from "../api/client";
import type { Report } from "./wav.worker";

/** Return a MIDI file as WAV. Throws Refused or Lost where there is no soundfont, Error where it cannot be rendered. */
export async function renderWav(midi: Uint8Array<ArrayBuffer>, progress: (share: number) => void): Promise<Blob> {
  const soundfont = await fetchSoundfontFile();
  const worker = new Worker(new URL("./wav.worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<Blob>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Report>) => {
        if ("share" in data) progress(data.share);
        else if ("wav" in data) resolve(new Blob([data.wav], { type: "audio/wav" }));
        else reject(new Error("wav"));
      };
      worker.onerror = () => reject(new Error("wav"));
      worker.postMessage({ midi: midi.buffer, soundfont }, [soundfont]);
    });
  } finally {
    worker.terminate();
  }
}
