// The player: a clock, and notes that are sent to the synthesizer a little ahead of it. What it plays may still grow; it
// then waits where it has come to the end of what is there.
import { computed, signal } from "@preact/signals";
import type { Instrument, Note } from "../api/types";
import { Sound, soundState } from "./sound";

export interface Music {
  id: string;
  title: string;
  /** Sorted by onset. */
  notes: readonly Note[];
  seconds: number;
  isGrowing: boolean;
}

export interface Span {
  begin: number;
  end: number;
}

interface Sounding {
  end: number;
  pitch: number;
  instrument: string;
}

/** Milliseconds between looks at the clock. */
const TICK = 40;
/** Seconds that notes are sent ahead; a page that is not shown is woken once a second. */
const AHEAD = 0.2;
const AHEAD_HIDDEN = 1.6;
/** Seconds of music that must be there to go on where the player had to wait. */
const CUSHION = 1.0;
const FIRST_CUSHION = 0.25;
/** Seconds of a late note that are worth starting. */
const WORTH = 0.08;
const VOLUME = "musenet-volume";

class Player {
  readonly music = signal<Music | null>(null);
  readonly state = signal<"stopped" | "playing" | "waiting">("stopped");
  readonly span = signal<Span | null>(null);
  readonly loops = signal(false);
  readonly muted = signal<ReadonlySet<string>>(new Set());
  readonly solo = signal<ReadonlySet<string>>(new Set());
  readonly volume = signal(storedVolume());
  /** Seconds, a few times a second, for what is shown as text. */
  readonly shown = signal(0);
  readonly isOn = computed(() => this.state.value !== "stopped");

  #sound: Sound | null = null;
  #instruments: readonly Instrument[] = [];
  #base = 0;
  #started = 0;
  #sent = 0;
  #sounding: Sounding[] = [];
  #timer: number | undefined;

  /** Create the audio context and load the soundfont, so that it is there when it is needed. */
  async load(): Promise<void> {
    await this.#ready().load();
    this.#sound?.prepare(this.#instruments);
  }

  prepare(instruments: readonly Instrument[]): void {
    this.#instruments = instruments;
    this.#sound?.prepare(instruments);
  }

  #ready(): Sound {
    if (this.#sound === null) {
      this.#sound = new Sound();
      this.#sound.volume = this.volume.value;
    }
    return this.#sound;
  }

  /** Seconds of the music that are heard now. */
  get position(): number {
    if (this.state.value !== "playing" || this.#sound === null) return this.#base;
    return this.#base + Math.max(this.#sound.context.currentTime - this.#started, 0);
  }

  /** Where the span to loop begins and ends, or all of the music. */
  get #bounds(): Span {
    const whole = { begin: 0, end: this.music.value?.seconds ?? 0 };
    return this.loops.value ? (this.span.value ?? whole) : whole;
  }

  knows(prefix: string): boolean {
    return this.music.value?.id.startsWith(prefix) ?? false;
  }

  /** Take music to play, from its beginning. */
  open(music: Music): void {
    this.pause();
    this.music.value = music;
    this.span.value = null;
    this.#move(0);
  }

  /** Show other music if none is played; what is heard goes on. */
  offer(music: Music): void {
    if (!this.isOn.value && this.music.value?.id !== music.id) this.open(music);
  }

  /** Take the notes to which music that is played has grown. */
  grow(id: string, notes: readonly Note[], seconds: number): void {
    const music = this.music.value;
    if (music?.id !== id) return;
    const known = new Set(music.notes);
    this.music.value = { ...music, notes, seconds };
    if (this.state.value === "playing") this.#catchUp(notes.filter((note) => !known.has(note)));
  }

  /** Music that has grown is whole, and has another name. */
  finish(id: string, music: Music): void {
    if (this.music.value?.id !== id) return;
    this.music.value = music;
    if (this.state.value === "waiting") this.#go();
  }

  /** Music of this id grows no more: the request for it was given up. */
  forget(prefix: string): void {
    const music = this.music.value;
    if (music?.id.startsWith(prefix)) this.music.value = { ...music, isGrowing: false };
  }

  play(): void {
    const music = this.music.value;
    if (music === null || this.isOn.value) return;
    const sound = this.#ready();
    void sound.context.resume();
    void this.load();
    const { begin, end } = this.#bounds;
    if (!music.isGrowing && (this.#base >= end - 0.02 || this.#base < begin)) this.#move(begin);
    this.state.value = "waiting";
    this.#go();
    this.#timer ??= window.setInterval(() => this.#tick(), TICK);
  }

  pause(): void {
    if (!this.isOn.value) return;
    this.#move(this.position);
    this.state.value = "stopped";
    this.#silence();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  toggle(): void {
    if (this.isOn.value) this.pause();
    else this.play();
  }

  seek(seconds: number): void {
    const isOn = this.isOn.value;
    this.#silence();
    this.#move(Math.min(Math.max(seconds, 0), this.music.value?.seconds ?? 0));
    if (isOn) {
      this.state.value = "waiting";
      this.#go();
    }
  }

  setVolume(volume: number): void {
    this.volume.value = volume;
    localStorage.setItem(VOLUME, String(volume));
    if (this.#sound !== null) this.#sound.volume = volume;
  }

  toggleMute(instrument: string): void {
    this.muted.value = toggled(this.muted.value, instrument);
    this.#hush();
  }

  toggleSolo(instrument: string): void {
    this.solo.value = toggled(this.solo.value, instrument);
    this.#hush();
  }

  isHeard(instrument: string): boolean {
    return this.solo.value.size > 0 ? this.solo.value.has(instrument) : !this.muted.value.has(instrument);
  }

  #move(seconds: number): void {
    this.#base = seconds;
    this.#sent = seconds;
    this.shown.value = seconds;
  }

  #silence(): void {
    this.#sounding = [];
    if (this.#sound === null) return;
    this.#sound.isSilent = true;
    this.#sound.silence(AHEAD);
  }

  /** Let the clock run if there is music to play, and the instruments are there or known not to come. */
  #go(): void {
    const music = this.music.value;
    const sound = this.#sound;
    if (music === null || sound === null || soundState.value === "loading") return;
    const cushion = this.#base === 0 ? FIRST_CUSHION : CUSHION;
    if (music.isGrowing && music.seconds < this.#base + cushion) return;
    sound.isSilent = false;
    this.#sent = this.#base;
    this.#started = sound.context.currentTime + 0.03;
    this.state.value = "playing";
    this.#tick();
  }

  #tick(): void {
    const music = this.music.value;
    if (music === null) return;
    if (this.state.value === "waiting") {
      this.#go();
      return;
    }
    const position = this.position;
    if (Math.abs(position - this.shown.value) > 0.1) this.shown.value = position;
    const { begin, end } = this.#bounds;
    if (position >= end) {
      this.#arrive(music, begin, end);
      return;
    }
    this.#send(Math.min(position + (document.hidden ? AHEAD_HIDDEN : AHEAD), end));
  }

  /** The clock has come to the end of what is there. */
  #arrive(music: Music, begin: number, end: number): void {
    if (this.loops.value && !(music.isGrowing && this.span.value === null)) {
      this.seek(begin);
      return;
    }
    this.#send(end);
    this.#move(end);
    this.state.value = "waiting";
    if (!music.isGrowing) this.pause();
  }

  #time(seconds: number): number {
    return this.#started + seconds - this.#base;
  }

  /** Send what happens up to a place. */
  #send(until: number): void {
    const notes = this.music.value?.notes ?? [];
    for (let at = firstFrom(notes, this.#sent); at < notes.length; at++) {
      const note = notes[at] as Note;
      if (note[0] >= until) break;
      this.#start(note, note[0]);
    }
    this.#endBefore(until);
    this.#sent = Math.max(until, this.#sent);
  }

  /** Start notes that have come late. */
  #catchUp(late: readonly Note[]): void {
    const position = this.position;
    for (const note of late) {
      if (note[0] < this.#sent && note[0] + note[1] > position + WORTH) this.#start(note, Math.max(note[0], position));
    }
  }

  #start([onset, duration, pitch, velocity, instrument]: Note, at: number): void {
    if (!this.isHeard(instrument)) return;
    this.#endBefore(at);
    const same = this.#sounding.findIndex((each) => each.pitch === pitch && each.instrument === instrument);
    if (same >= 0) {
      this.#sounding.splice(same, 1);
      this.#sound?.off(instrument, pitch, this.#time(at));
    }
    this.#sound?.on(instrument, pitch, velocity, this.#time(at));
    this.#sounding.push({ end: onset + duration, pitch, instrument });
  }

  #endBefore(until: number): void {
    const ending = this.#sounding.filter((each) => each.end <= until).sort((a, b) => a.end - b.end);
    for (const each of ending) this.#sound?.off(each.instrument, each.pitch, this.#time(each.end));
    if (ending.length > 0) this.#sounding = this.#sounding.filter((each) => each.end > until);
  }

  /** End the notes of instruments that are not heard any more. */
  #hush(): void {
    for (const each of this.#sounding) {
      if (!this.isHeard(each.instrument)) this.#sound?.off(each.instrument, each.pitch, 0);
    }
    this.#sounding = this.#sounding.filter((each) => this.isHeard(each.instrument));
  }
}

function toggled(set: ReadonlySet<string>, name: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(name)) next.add(name);
  return next;
}

/** Return the place of the first note that begins at or after some seconds. */
export function firstFrom(notes: readonly Note[], seconds: number): number {
  let low = 0;
  let high = notes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((notes[middle] as Note)[0] < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

function storedVolume(): number {
  const stored = Number(localStorage.getItem(VOLUME) ?? "0.8");
  return stored >= 0 && stored <= 1 ? stored : 0.8;
}

export const player = new Player();
