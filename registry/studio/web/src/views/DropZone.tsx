// Files that are dropped anywhere on the page: a MIDI file to begin with, or a project to open.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { action } from "../state/action";
import { go, view } from "../state/route";
import { model } from "../state/server";
import { isProject, takeMidi, takeProject } from "../state/uploads";
import { texts } from "../texts";
import { Icon } from "./Icon";

export function DropZone(): JSX.Element | null {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault();
      setIsOver(event.dataTransfer?.types.includes("Files") ?? false);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setIsOver(false);
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      setIsOver(false);
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) void take(file);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  if (!isOver) return null;
  return (
    <div class="dropping">
      <Icon name="notes" />
      <p>{texts.start.dropping}</p>
    </div>
  );
}

/** Take a file, and show where it went. */
async function take(file: File): Promise<void> {
  if (isProject(file)) {
    if (await takeProject(file)) go("compose");
  } else if (model.value !== null && (await takeMidi(file, model.value))) {
    if (view.value === "compose") action.value = "begin";
    else go("listen");
  }
}
