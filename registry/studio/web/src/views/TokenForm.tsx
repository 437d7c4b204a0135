// Asks for the token of a server that needs one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { setToken } from "../api/client";
import { look } from "../state/server";
import { texts } from "../texts";

export function TokenForm(): JSX.Element {
  const [text, setText] = useState("");
  function submit(event: Event): void {
    event.preventDefault();
    setToken(text.trim());
    void look();
  }
  return (
    <form class="token" onSubmit={submit}>
      <h1>{texts.token.title}</h1>
      <p>{texts.token.why}</p>
      <label>
        {texts.token.label}
        <input type="password" value={text} onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" required />
      </label>
      <button type="submit" class="primary">
        {texts.token.submit}
      </button>
    </form>
  );
}
