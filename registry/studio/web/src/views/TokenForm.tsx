// Asks for the token of a server that needs one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { setToken } from "../api/client";
import { connection, look } from "../state/server";
import { texts } from "../texts";

export function TokenForm(): JSX.Element {
  const [text, setText] = useState("");
  const [isWrong, setIsWrong] = useState(false);
  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setToken(text.trim());
    await look();
    setIsWrong(connection.value === "locked");
  }
  return (
    <form class="token" onSubmit={(event) => void submit(event)}>
      <h1>{texts.token.title}</h1>
      <p>{texts.token.why}</p>
      <label>
        {texts.token.label}
        <input type="password" value={text} onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" required />
      </label>
      <p class="hint warning" role="alert">
        {isWrong && texts.token.wrong}
      </p>
      <button type="submit" class="primary large" disabled={text.trim() === ""}>
        {texts.token.submit}
      </button>
    </form>
  );
}
