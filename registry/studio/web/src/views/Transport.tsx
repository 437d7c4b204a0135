// The player's controls, at the foot of the page.
import type { JSX } from "preact";
import { player } from "../player/player";
import { soundState } from "../player/sound";
import { clock } from "../roll/drawing";
import { Thumbnail } from "../roll/Thumbnail";
import { texts } from "../texts";
import { Icon } from "./Icon";
import { instrumentsOf, Swatch } from "./Legend";
import { Menu } from "./Menu";
import { shareOf } from "./Slider";

export function Transport(): JSX.Element {
  const music = player.music.value;
  const seconds = music?.seconds ?? 0;
  const position = Math.min(player.shown.value, seconds);
  const isOn = player.isOn.value;
  const isLoading = player.state.value === "waiting" && soundState.value === "loading";
  const isSilenced = player.muted.value.size + player.solo.value.size > 0;
  return (
    <section class="transport" aria-label={texts.player.label}>
      <button type="button" class="play" disabled={music === null} onClick={() => player.toggle()} aria-label={isOn ? texts.player.pause : texts.player.play} title={texts.player.playKey}>
        <Icon name={isOn ? "pause" : "play"} />
      </button>
      <div class="now">
        <span class="now-title">{music?.title ?? texts.player.nothing}</span>
        <span class="now-time">
          {isLoading ? texts.sound.loading : `${player.state.value === "waiting" ? texts.player.waiting : clock(position)} / ${clock(seconds)}`}
        </span>
      </div>
      <div class="seek-roll" style={{ "--share": `${shareOf(position, 0, seconds)}%` }}>
        {music !== null && <Thumbnail notes={music.notes} seconds={seconds} kept={0} isGiven={notGiven} />}
        <input
          class="seek"
          type="range"
          min={0}
          max={Math.max(seconds, 0.1)}
          step={0.05}
          value={position}
          disabled={music === null}
          aria-label={texts.player.position}
          aria-valuetext={texts.player.at(clock(position), clock(seconds))}
          onInput={(event) => player.seek(Number(event.currentTarget.value))}
        />
      </div>
      <div class="transport-tools">
        <button
          type="button"
          class={`icon${player.loops.value ? " on" : ""}`}
          aria-pressed={player.loops.value}
          onClick={() => (player.loops.value = !player.loops.value)}
          aria-label={player.span.value === null ? texts.player.loop : texts.player.loopSpan}
          title={player.span.value === null ? texts.player.loop : texts.player.loopSpan}
        >
          <Icon name="loop" />
        </button>
        <Menu icon="mixer" label={texts.player.mixer} isOn={isSilenced}>
          <Mixer />
        </Menu>
        <Menu icon="volume" label={texts.player.volume}>
          <input
            type="range"
            class="volume"
            style={{ "--share": `${100 * player.volume.value}%` }}
            min={0}
            max={1}
            step={0.01}
            value={player.volume.value}
            aria-label={texts.player.volume}
            aria-valuetext={texts.percent(player.volume.value)}
            onInput={(event) => player.setVolume(Number(event.currentTarget.value))}
          />
        </Menu>
      </div>
      <SoundNote />
    </section>
  );
}

function notGiven(): boolean {
  return false;
}

function Mixer(): JSX.Element {
  const names = instrumentsOf(player.music.value?.notes ?? []);
  if (names.length === 0) return <p class="hint">{texts.player.nothing}</p>;
  return (
    <ul class="mixer">
      {names.map((name) => (
        <li key={name}>
          <Swatch name={name} />
          <span>{texts.instrument(name)}</span>
          <button type="button" aria-pressed={player.muted.value.has(name)} onClick={() => player.toggleMute(name)} aria-label={texts.player.mute(name)}>
            {texts.player.muteShort}
          </button>
          <button type="button" aria-pressed={player.solo.value.has(name)} onClick={() => player.toggleSolo(name)} aria-label={texts.player.solo(name)}>
            {texts.player.soloShort}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What there is to say of the sound: that it is loaded, or why there is none. */
function SoundNote(): JSX.Element | null {
  const state = soundState.value;
  if (state === "missing" || state === "failed") {
    return (
      <p class="sound-note" role="status">
        {texts.sound[state]}
        {state === "failed" && (
          <button type="button" class="link" onClick={() => void player.load()}>
            {texts.sound.again}
          </button>
        )}
      </p>
    );
  }
  if (state === "loading" && player.isOn.value) {
    return (
      <p class="unseen" role="status">
        {texts.sound.loading}
      </p>
    );
  }
  return null;
}
