// Sound: SpessaSynth in an AudioWorklet, with the soundfont that the server has.
import { signal } from "@preact/signals";
import { WorkletSynthesizer } from "spessasynth_lib";
import processor from "spessasynth_lib/dist/spessasynth_processor.min.js?url";
import { fetchSoundfont, fetchSoundfontFile, Refused } from "../api/client";
import type { Instrument, Soundfont } from "../api/types";

export type SoundState = "unloaded" | "loading" | "ready" | "missing" | "failed";

const DRUMS = 9;

export const soundState = signal<SoundState>("unloaded");
export const soundfont = signal<Soundfont | null>(null);

/** An audio context and, once it is loaded, a synthesizer in it. */
export class Sound {
  readonly context = new AudioContext({ latencyHint: "interactive" });
  readonly #out = this.context.createGain();
  #synth: WorkletSynthesizer | null = null;
  readonly #channels = new Map<string, number>();

  constructor() {
    this.#out.connect(this.context.destination);
  }

  /** Load synthesizer and soundfont; `soundState` says what comes of it: `unloaded` where the server wants its token first. */
  async load(): Promise<void> {
    if (soundState.value !== "unloaded" && soundState.value !== "failed") return;
    soundState.value = "loading";
    try {
      const adding = this.context.audioWorklet.addModule(processor);
      soundfont.value = await fetchSoundfont();
      if (soundfont.value === null) {
        soundState.value = "missing";
        return;
      }
      const [file] = await Promise.all([fetchSoundfontFile(), adding]);
      const synth = new WorkletSynthesizer(this.context, { eventsEnabled: false });
      synth.connect(this.#out);
      await synth.soundBankManager.addSoundBank(file, "main");
      await synth.isReady;
      this.#synth = synth;
      soundState.value = "ready";
    } catch (error) {
      soundState.value = error instanceof Refused && error.status === 401 ? "unloaded" : "failed";
    }
  }

  /** Give each instrument a channel of its own, once there is a synthesizer. */
  prepare(instruments: readonly Instrument[]): void {
    const synth = this.#synth;
    if (synth === null) return;
    let free = 0;
    for (const { name, program, drums } of instruments) {
      if (free === DRUMS) free++;
      const channel = drums ? DRUMS : free++;
      this.#channels.set(name, channel);
      if (channel >= synth.channelCount) synth.addNewChannel();
      if (!drums) synth.programChange(channel, program);
    }
  }

  /** Start a note at a time of the context. */
  on(instrument: string, pitch: number, velocity: number, time: number): void {
    const channel = this.#channels.get(instrument);
    if (channel !== undefined) this.#synth?.noteOn(channel, pitch, velocity, { time });
  }

  off(instrument: string, pitch: number, time: number): void {
    const channel = this.#channels.get(instrument);
    if (channel !== undefined) this.#synth?.noteOff(channel, pitch, { time });
  }

  /** Stop all notes, those within `ahead` seconds of now included. */
  silence(ahead: number): void {
    this.#synth?.stopAll(false);
    setTimeout(() => {
      if (this.isSilent) this.#synth?.stopAll(true);
    }, ahead * 1000);
  }

  isSilent = true;

  set volume(volume: number) {
    this.#out.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }
}
