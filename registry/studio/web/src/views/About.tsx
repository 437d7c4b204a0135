// About: the model's card, what this software is made of, and what the model cannot do.
import { micromark } from "micromark";
import { gfmTable, gfmTableHtml } from "micromark-extension-gfm-table";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { soundfont, soundState } from "../player/sound";
import { model } from "../state/server";
import { texts } from "../texts";

export function About(): JSX.Element | null {
  const served = model.value;
  // HTML in a card is shown as text: micromark passes none on
  const card = useMemo(() => micromark(served?.card ?? "", { extensions: [gfmTable()], htmlExtensions: [gfmTableHtml()] }), [served?.card]);
  if (served === null) return null;
  return (
    <div class="about">
      <h1>{texts.about.title}</h1>
      <p class="lead">{texts.about.lead}</p>
      <section aria-labelledby="limits-title">
        <h2 id="limits-title">{texts.about.limitsTitle}</h2>
        <ul>
          {texts.about.limits.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="model-title">
        <h2 id="model-title">{texts.about.modelTitle}</h2>
        <dl>
          {texts.about.facts(served).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section aria-labelledby="card-title">
        <h2 id="card-title">{texts.about.cardTitle}</h2>
        <div class="card-text" tabIndex={0} role="region" aria-labelledby="card-title" dangerouslySetInnerHTML={{ __html: lowered(card) }} />
      </section>
      <section aria-labelledby="licences-title">
        <h2 id="licences-title">{texts.about.licencesTitle}</h2>
        <ul>
          {texts.about.licences.map((line) => (
            <li key={line}>{line}</li>
          ))}
          <li>
            {soundfont.value === null
              ? soundState.value === "missing"
                ? texts.sound.missing
                : texts.about.soundfontUnknown
              : texts.about.soundfont(soundfont.value.name, soundfont.value.licence)}
          </li>
          <li>
            <a href="./licences.txt">{texts.about.licencesLink}</a>
          </li>
        </ul>
      </section>
    </div>
  );
}

/** Return HTML whose headings are two levels lower, as the card stands in a section of the page. */
function lowered(html: string): string {
  return html.replace(/<(\/?)h([1-6])>/g, (_, slash: string, level: string) => `<${slash}h${Math.min(Number(level) + 2, 6)}>`);
}
