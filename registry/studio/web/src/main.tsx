// The studio: starts the page.
import { effect, untracked } from "@preact/signals";
import { render } from "preact";
import { player } from "./player/player";
import { keepProject } from "./state/store";
import { look, model } from "./state/server";
import { say } from "./state/messages";
import { texts } from "./texts";
import { App } from "./views/App";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/views.css";
import "./styles/roll.css";

void player.load();
void look();
await keepProject(() => say(texts.errors.notKept, "error"));
effect(() => {
  if (model.value === null) return;
  player.prepare(model.value.instruments);
  untracked(() => void player.load());
});
const place = document.getElementById("app");
if (place !== null) render(<App />, place);
