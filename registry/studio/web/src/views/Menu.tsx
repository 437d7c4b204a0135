// A button with a panel that it opens: the browser's own popover, closed by Escape and by a click elsewhere.
import type { ComponentChildren, JSX } from "preact";
import { useId, useRef } from "preact/hooks";
import { Icon, type IconName } from "./Icon";

interface Props {
  icon: IconName;
  label: string;
  /** Shown beside the icon. */
  text?: string;
  isOn?: boolean;
  children: ComponentChildren;
}

const MARGIN = 8;

export function Menu({ icon, label, text, isOn = false, children }: Props): JSX.Element {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  function place(): void {
    const [anchor, element] = [button.current?.getBoundingClientRect(), panel.current];
    if (anchor === undefined || element === null) return;
    const { offsetWidth: width, offsetHeight: height } = element;
    const isBelow = anchor.bottom + height + MARGIN < innerHeight || anchor.top < height + MARGIN;
    element.style.left = `${Math.min(Math.max(anchor.right - width, MARGIN), Math.max(innerWidth - width - MARGIN, 0))}px`;
    element.style.top = `${isBelow ? anchor.bottom + MARGIN : anchor.top - height - MARGIN}px`;
  }
  return (
    <>
      <button
        type="button"
        ref={button}
        class={text === undefined ? `icon${isOn ? " on" : ""}` : ""}
        aria-label={label}
        title={label}
        aria-haspopup="true"
        popovertarget={id}
      >
        <Icon name={icon} />
        {text}
      </button>
      <div
        id={id}
        ref={panel}
        class="menu"
        popover="auto"
        role="group"
        aria-label={label}
        onToggle={(event) => {
          if (event.newState === "open") place();
        }}
      >
        {children}
      </div>
    </>
  );
}
