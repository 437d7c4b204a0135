// The tree of all pieces of the project: to walk, to rename, to remove; and the project as a file.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { download, toFile } from "../state/files";
import { change, project } from "../state/history";
import { childrenOf, emptyProject, type Piece, type Project, without } from "../state/project";
import { select, togglePiece } from "../state/selecting";
import { takeProject } from "../state/uploads";
import { texts } from "../texts";
import { Icon } from "./Icon";

/** Steps by which pieces are moved in at most. */
const DEEPEST = 8;

interface Row {
  piece: Piece;
  depth: number;
}

function rowsOf(tree: Project, id: string | null = null, depth = 0): Row[] {
  return childrenOf(tree, id).flatMap((piece) => [{ piece, depth }, ...rowsOf(tree, piece.id, depth + 1)]);
}

export function Tree(): JSX.Element {
  const rows = rowsOf(project.value);
  const [renamed, setRenamed] = useState<string | null>(null);
  return (
    <aside class="tree" aria-label={texts.tree.label}>
      <div class="tree-head">
        <ProjectName />
        <ProjectTools />
      </div>
      {rows.length === 0 ? (
        <p class="hint">{texts.tree.empty}</p>
      ) : (
        <ul role="tree" aria-label={texts.tree.label}>
          {rows.map(({ piece, depth }, place) => (
            <TreeRow key={piece.id} piece={piece} depth={depth} rows={rows} place={place} isRenamed={renamed === piece.id} rename={setRenamed} />
          ))}
        </ul>
      )}
    </aside>
  );
}

interface RowProps extends Row {
  rows: readonly Row[];
  place: number;
  isRenamed: boolean;
  rename: (id: string | null) => void;
}

function TreeRow({ piece, depth, rows, place, isRenamed, rename }: RowProps): JSX.Element {
  const chosen = project.value.current;
  const isChosen = chosen === piece.id;
  const item = useRef<HTMLLIElement>(null);
  const wasKey = useRef(false);
  useEffect(() => {
    if (isChosen && wasKey.current) item.current?.focus();
  }, [isChosen]);

  function walk(to: Piece | undefined): void {
    if (to === undefined) return;
    select(to);
    document.getElementById(`piece-${to.id}`)?.focus();
  }
  function onKey(event: KeyboardEvent): void {
    if (event.target !== event.currentTarget) return;
    wasKey.current = true;
    const first = childrenOf(project.value, piece.id)[0];
    const parent = piece.parent === null ? undefined : project.value.pieces[piece.parent];
    const keys: Record<string, () => void> = {
      ArrowDown: () => walk(rows[place + 1]?.piece),
      ArrowUp: () => walk(rows[place - 1]?.piece),
      ArrowRight: () => walk(first),
      ArrowLeft: () => walk(parent),
      Home: () => walk(rows[0]?.piece),
      End: () => walk(rows.at(-1)?.piece),
      F2: () => rename(piece.id),
      Delete: () => change((before) => without(before, piece.id)),
      Enter: () => togglePiece(piece),
      " ": () => togglePiece(piece),
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
  return (
    <li
      ref={item}
      id={`piece-${piece.id}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={isChosen}
      aria-label={texts.tree.item(piece.title, piece.candidate.score)}
      tabIndex={isChosen || (chosen === null && place === 0) ? 0 : -1}
      style={{ "--depth": Math.min(depth, DEEPEST) }}
      onClick={() => select(piece)}
      onKeyDown={onKey}
    >
      <i class={`origin ${piece.origin}`} aria-hidden="true" />
      {isRenamed ? (
        <RenameField piece={piece} done={() => rename(null)} />
      ) : (
        <span class="tree-title" onDblClick={() => rename(piece.id)}>
          {piece.title}
        </span>
      )}
      {piece.candidate.score !== null && !isRenamed && <small>{texts.score.short(piece.candidate.score)}</small>}
      {isChosen && !isRenamed && (
        <>
          <button type="button" class="icon small" tabIndex={-1} onClick={() => rename(piece.id)} aria-label={texts.tree.rename} title={texts.tree.renameKey}>
            <Icon name="rename" />
          </button>
          <button
            type="button"
            class="icon small"
            tabIndex={-1}
            onClick={(event) => {
              event.stopPropagation();
              change((before) => without(before, piece.id));
            }}
            aria-label={texts.tree.remove}
            title={texts.tree.removeKey}
          >
            <Icon name="close" />
          </button>
        </>
      )}
    </li>
  );
}

function RenameField({ piece, done }: { piece: Piece; done: () => void }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  function save(): void {
    const title = field.current?.value.trim() ?? "";
    if (title !== "" && title !== piece.title) {
      change((before) => ({ ...before, pieces: { ...before.pieces, [piece.id]: { ...piece, title } } }));
    }
    done();
  }
  return (
    <input
      ref={field}
      class="rename"
      aria-label={texts.tree.rename}
      defaultValue={piece.title}
      onBlur={save}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") save();
        if (event.key === "Escape") done();
      }}
    />
  );
}

function ProjectName(): JSX.Element {
  return (
    <input
      class="project-name"
      aria-label={texts.project.name}
      value={project.value.name}
      onChange={(event) => {
        const name = event.currentTarget.value.trim();
        if (name !== "") change((before) => ({ ...before, name }), "name");
      }}
    />
  );
}

function ProjectTools(): JSX.Element {
  const file = useRef<HTMLInputElement>(null);
  return (
    <div class="project-tools">
      <button type="button" onClick={() => download(toFile(project.value), `${project.value.name}.musenet.json`)}>
        {texts.project.save}
      </button>
      <button type="button" onClick={() => file.current?.click()}>
        {texts.project.load}
      </button>
      <button type="button" onClick={() => change((before) => ({ ...emptyProject(texts.project.untitled), settings: before.settings }))}>
        {texts.project.fresh}
      </button>
      <input
        ref={file}
        type="file"
        hidden
        accept=".json,application/json"
        aria-label={texts.project.load}
        onChange={(event) => {
          const chosen = event.currentTarget.files?.[0];
          if (chosen !== undefined) void takeProject(chosen);
          event.currentTarget.value = "";
        }}
      />
    </div>
  );
}
