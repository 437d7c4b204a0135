// The page: the views, and what stands above and below all of them.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { player } from "../player/player";
import { musicOf } from "../state/composing";
import { canRedo, canUndo, current, redo, undo } from "../state/history";
import { openLink } from "../state/links";
import { dismiss, messages } from "../state/messages";
import { hrefOf, link, view, VIEWS } from "../state/route";
import { connection, model } from "../state/server";
import { theme, toggleTheme } from "../state/theme";
import { texts } from "../texts";
import { About } from "./About";
import { Compose } from "./Compose";
import { DropZone } from "./DropZone";
import { Icon } from "./Icon";
import { Listen } from "./Listen";
import { StyleMap } from "./StyleMap";
import { TokenForm } from "./TokenForm";
import { Transport } from "./Transport";

export function App(): JSX.Element {
  useEffect(() => {
    document.title = texts.views.title(view.value);
  }, [view.value]);
  useEffect(() => {
    if (link.value !== null && model.value !== null) void openLink(link.value);
  }, [link.value, model.value === null]);
  useEffect(() => {
    if (current.value !== null) player.offer(musicOf(current.value));
  }, [current.value?.id]);
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  const isKnown = model.value !== null;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        {texts.views.skip}
      </a>
      <Header />
      <Banner />
      <main id="main" tabIndex={-1} class={`view-${view.value}`}>
        {connection.value === "locked" && <TokenForm />}
        {!isKnown && connection.value !== "locked" && <Waiting />}
        {isKnown && view.value === "listen" && <Listen />}
        {isKnown && view.value === "compose" && <Compose />}
        {isKnown && view.value === "map" && <StyleMap />}
        {isKnown && view.value === "about" && <About />}
      </main>
      <Transport />
      <Messages />
      <DropZone />
    </>
  );
}

/** What is seen until the model is known. */
function Waiting(): JSX.Element {
  return (
    <div class="wait" role="status">
      {connection.value !== "failed" && (
        <span class="bars" aria-hidden="true">
          <i />
          <i />
          <i />
          <i />
        </span>
      )}
      <p>{texts.connection[connection.value]}</p>
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Header(): JSX.Element {
  return (
    <header class="top">
      <a class="brand" href={hrefOf("listen")}>
        <img src="./icon.svg" alt="" width="26" height="26" />
        <span>
          musenet <b>studio</b>
        </span>
      </a>
      <nav aria-label={texts.views.navigation}>
        {VIEWS.map((name) => (
          <a key={name} href={hrefOf(name)} aria-current={view.value === name ? "page" : undefined}>
            {texts.views.names[name]}
          </a>
        ))}
      </nav>
      <div class="top-tools">
        <button type="button" class="icon" onClick={undo} disabled={!canUndo.value} aria-label={texts.project.undo} title={texts.project.undoKey}>
          <Icon name="undo" />
        </button>
        <button type="button" class="icon" onClick={redo} disabled={!canRedo.value} aria-label={texts.project.redo} title={texts.project.redoKey}>
          <Icon name="redo" />
        </button>
        <button type="button" class="icon" onClick={toggleTheme} aria-label={theme.value === "dark" ? texts.views.toLight : texts.views.toDark}>
          <Icon name={theme.value === "dark" ? "sun" : "moon"} />
        </button>
      </div>
    </header>
  );
}

/** What is wrong with the connection, once the page has been in use. */
function Banner(): JSX.Element {
  const isAway = model.value !== null && ["lost", "loading", "failed"].includes(connection.value);
  return (
    <div class="banner" role="status">
      {isAway && <p>{texts.connection[connection.value]}</p>}
    </div>
  );
}

function Messages(): JSX.Element {
  return (
    <div class="messages" role="log" aria-live="polite" aria-label={texts.messages.label}>
      {messages.value.map(({ id, text, kind }) => (
        <div key={id} class={`message ${kind}`}>
          <p>{text}</p>
          <button type="button" class="icon" onClick={() => dismiss(id)} aria-label={texts.messages.dismiss}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** Keys that work everywhere: space plays, Ctrl-Z undoes. */
function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const isTyping = target.matches("input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea, select");
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (isUndo && !isTyping) {
    event.preventDefault();
    if (event.shiftKey) redo();
    else undo();
  } else if (event.key === " " && !isTyping && !target.matches("button, a, summary, input:not([type=range]), [role=treeitem]")) {
    event.preventDefault();
    player.toggle();
  }
}
