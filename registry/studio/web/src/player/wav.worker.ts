// Renders a MIDI file as WAV, away from the page's own thread.
import { audioToWav, BasicMIDI, SoundBankLoader, SpessaSynthProcessor, SpessaSynthSequencer } from "spessasynth_core";

const RATE = 48_000;
/** Samples between looks at the sequence. */
const BLOCK = 128;
/** Seconds behind the last note, for what still sounds. */
const TAIL = 2;

export interface Order {
  midi: ArrayBuffer;
  soundfont: ArrayBuffer;
}

export type Report = { share: number } | { wav: ArrayBuffer } | { failed: true };

addEventListener("message", (message: MessageEvent<Order>) => {
  render(message.data).catch(() => postMessage({ failed: true } satisfies Report));
});

async function render({ midi, soundfont }: Order): Promise<void> {
  const synth = new SpessaSynthProcessor(RATE, { eventsEnabled: false });
  synth.soundBankManager.addSoundBank(SoundBankLoader.fromArrayBuffer(soundfont), "main");
  await synth.processorInitialized;
  synth.setSystemParameter("autoAllocateVoices", true);
  const sequence = new SpessaSynthSequencer(synth);
  sequence.skipToFirstNoteOn = false;
  const music = BasicMIDI.fromArrayBuffer(midi);
  sequence.loadNewSongList([music]);
  sequence.play();
  const samples = Math.ceil(RATE * (music.duration + TAIL));
  const channels = [new Float32Array(samples), new Float32Array(samples)] as const;
  for (let done = 0; done < samples; done += BLOCK) {
    sequence.processTick();
    synth.process(channels[0], channels[1], done, Math.min(BLOCK, samples - done));
    if (done % (BLOCK * 1000) === 0) postMessage({ share: done / samples } satisfies Report);
  }
  const wav = audioToWav([...channels], RATE);
  postMessage({ wav } satisfies Report, { transfer: [wav] });
}
