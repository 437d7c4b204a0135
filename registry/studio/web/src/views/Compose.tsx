// The advanced view: settings, completions beside each other, the roll of the one that is chosen, and the tree of all.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { action, cut, setCut } from "../state/action";
import { job } from "../state/composing";
import { current } from "../state/history";
import { texts } from "../texts";
import { Candidates } from "./Candidates";
import { Panel } from "./Panel";
import { Stage } from "./Stage";
import { Tree } from "./Tree";

export function Compose(): JSX.Element {
  useEffect(() => {
    if (current.value !== null && action.value === "begin") action.value = "go-on";
  }, [current.value?.id]);
  const isCut = action.value === "go-on";
  return (
    <div class={`workshop${current.value !== null || job.value !== null ? " has-music" : ""}`}>
      <h1 class="unseen">{texts.views.names.compose}</h1>
      <Panel />
      <div class="bench">
        <Candidates />
        <Stage cut={isCut ? cut.value : null} onCut={isCut ? setCut : null} />
      </div>
      <Tree />
    </div>
  );
}
