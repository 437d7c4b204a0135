// All texts of the page.
import type { Copy, Model } from "./api/types";
import type { Action } from "./state/action";
import type { Origin } from "./state/project";
import type { View } from "./state/route";

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return a name as words, each with a capital since many are of people; those without vowels are abbreviations. */
function spaced(name: string): string {
  return name
    .split("_")
    .map((word) => (/[aeiouy]/i.test(word) ? capital(word) : word.toUpperCase()))
    .join(" ");
}

function seconds(value: number): string {
  if (value < 60) return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min${whole % 60 === 0 ? "" : ` ${whole % 60} s`}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

const AWAY = "The server cannot be reached. This page tries again by itself; your pieces are kept in this browser.";

export const texts = {
  seconds,
  percent,
  notes: (count: number) => counted(count, "note"),
  instrument: spaced,
  views: {
    names: { listen: "Listen", compose: "Compose", map: "Map", about: "About" } satisfies Record<View, string>,
    title: (view: View) => (view === "listen" ? "musenet studio" : `${texts.views.names[view]} – musenet studio`),
    navigation: "Views",
    skip: "Skip to the music",
    toDark: "Use the dark theme",
    toLight: "Use the light theme",
  },
  connection: {
    connecting: "Looking for the server …",
    loading: "The server is loading its model. This takes a few seconds …",
    failed: "The server cannot load its model. Where it was started, it says why; it tries again twice a minute …",
    ready: "Ready",
    lost: AWAY,
    locked: "This server needs its token.",
    away: AWAY,
  },
  token: {
    title: "This server needs its token",
    why: "It was started with one, because other machines can reach it. It is kept until this tab is closed.",
    label: "Token",
    wrong: "The server does not take this token.",
    submit: "Go on",
  },
  messages: { label: "Messages", dismiss: "Dismiss this message" },
  listen: {
    title: "Choose a style. Hear what becomes of it.",
    lead: "A neural network composes note by note, and you hear it while it does.",
    compose: "Compose",
    another: "Another one",
    work: "Work on it",
  },
  style: {
    label: "Style",
    any: "Any style",
    filter: "Filter the styles",
    first: "Style",
    second: "Blended with",
    nothing: "Nothing",
    blend: "Blend",
    named: spaced,
    mix: (first: string, share: number, second: string, other: number) => `${percent(share)} ${spaced(first)}, ${percent(other)} ${spaced(second)}`,
    missing: (name: string) => `${spaced(name)} (not in this model)`,
    unknown: (name: string) => `This model has no style “${name}”. Choose one of its own; until then any style may come.`,
    none: (filter: string) => `No style contains “${filter}”.`,
  },
  start: {
    label: "Begin with",
    names: { nothing: "Nothing", opening: "A known opening", midi: "My own MIDI" },
    search: "Search the pieces",
    noneFound: "No piece of the data is called so.",
    more: (shown: number, total: number) => `${shown} of ${counted(total, "piece")}; search to see others.`,
    taken: "Of it are taken",
    noPieces: "The pieces that this model learned from are not on this server, so there are no openings. Begin with a MIDI file of your own instead.",
    drop: "Choose a MIDI file, or drop one anywhere on the page",
    dropping: "Drop a MIDI file to begin with it, or a project to open it",
    dropped: (name: string) => `${name} – drop another one to replace it`,
    chooseOpening: "Choose an opening first.",
    chooseFile: "Drop or choose a MIDI file first.",
  },
  samples: {
    title: "Ready to hear",
    about: (version: string) => `Uncurated: each is the first that version ${version} of the model composed, none was left out.`,
    none: "None are prepared. “musenet studio --prepare 2” composes two of each style beforehand.",
    noneOf: (style: string) => `None of ${spaced(style)} are prepared.`,
    named: (style: string | null, place: number) => `${style === null ? texts.style.any : spaced(style)} ${place}`,
    titleOf: (style: string | null, place: number) => `${texts.samples.named(style, place)}, ready-made`,
  },
  stage: {
    label: "Piece",
    empty: "Nothing is composed yet. Choose a style and press Compose: you hear it while it grows.",
    cancel: "Stop",
    progress: "Progress",
    selected: (span: string) => `selected ${span}`,
    states: {
      sent: () => "Sending the request …",
      queued: (position: number) => (position === 0 ? "Next in the queue …" : `Waiting; ${counted(position, "request")} before this one …`),
      composing: () => "Composing …",
      ranking: () => "The critic listens …",
      waiting: () => "The connection was lost. The same will be asked for again as soon as the server is back …",
    },
    original: "No long passage of it stands in the training data.",
    copied: (copies: readonly Copy[]) =>
      `Marked: ${copies.map((copy) => `${counted(copy.notes, "note")} that stand in ${copy.piece}`).join("; ")}.`,
  },
  roll: {
    region: "Piano roll, to be scrolled",
    describe: (notes: number, names: readonly string[], length: number) =>
      `Piano roll of ${counted(notes, "note")} in ${seconds(length)}${names.length > 0 ? `: ${names.map(spaced).join(", ")}` : ""}`,
    legend: "Instruments",
    zoom: "Zoom",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    zoomFit: "Show all",
    cut: "Place to go on from",
    cutHint: "Drag to choose where to go on from",
  },
  player: {
    label: "Player",
    play: "Play",
    pause: "Pause",
    playKey: "Play or pause (Space)",
    nothing: "Nothing to play yet",
    waiting: "waiting …",
    position: "Position",
    at: (position: string, length: string) => `${position} of ${length}`,
    loop: "Play it again and again",
    loopSpan: "Play the selection again and again",
    mixer: "Instruments",
    volume: "Volume",
    mute: (name: string) => `Mute ${spaced(name)}`,
    solo: (name: string) => `Only ${spaced(name)}`,
    muteShort: "Mute",
    soloShort: "Solo",
  },
  sound: {
    loading: "Loading the instruments …",
    missing:
      "There is no sound: the server has no soundfont. Install one (Debian: fluidr3mono-gm-soundfont), or name a file by $MUSENET_SOUNDFONT, and start it again.",
    failed: "There is no sound: the instruments could not be loaded.",
    again: "Try again",
  },
  exporting: {
    label: "Export this piece",
    button: "Export",
    midi: "MIDI file",
    wav: "Audio (WAV)",
    rendering: (share: number) => `Rendering ${percent(share)} …`,
    png: "Piano roll (PNG)",
    link: "Copy a link",
    noLink: "There is no link to it: it was cut short, or goes on from a ready-made sample.",
    exact: (version: string, number: number) => `The link names the exact request: version ${version}, its seed and settings, completion ${number + 1}.`,
    noWav: "The audio could not be rendered: there is no soundfont, or the server is away.",
    copied: "The link is copied.",
    address: (address: string) => `The link: ${address}`,
  },
  actions: {
    label: "What to do",
    names: { begin: "New", "go-on": "Go on", change: "Change" } satisfies Record<Action, string>,
    hints: {
      begin: "Compose a new piece.",
      "go-on": "Go on from the chosen piece. Drag the handle in the roll to cut it first.",
      change: "Drag over the roll to select a span, and have it composed anew; the rest stays.",
    } satisfies Record<Action, string>,
    from: "Go on from",
    begins: "From second",
    ends: "To second",
    parts: "Only these instruments",
    choose: "Choose a piece first.",
    busy: "A composition is under way.",
    select: "Select a span in the roll, or an instrument.",
    full: "The piece is as long as this server allows.",
    otherModel: (version: string) => `This piece is of ${version === "" ? "another model" : `version ${version} of the model`}, and it cannot go on with the one that is served now.`,
    beginWithIt: "Begin a new piece with its music",
    submit: (action: Action, count: number) =>
      action === "begin"
        ? count === 1
          ? "Compose"
          : `Compose ${counted(count, "completion")}`
        : action === "go-on"
          ? count === 1
            ? "Go on"
            : `Go on in ${counted(count, "way")}`
          : count === 1
            ? "Compose it anew"
            : `Compose it anew in ${counted(count, "way")}`,
  },
  instruments: {
    label: "Instruments",
    require: "No others may play",
    none: "As the model likes.",
    suggested: "A suggestion: others are less likely, but may join.",
    required: "Only these play.",
  },
  settings: {
    label: "Settings",
    drawing: "Composition",
    length: "Length",
    more: "How much more",
    completions: "Completions",
    tempo: "Tempo",
    beats: (tempo: number) => `${tempo} beats a minute`,
    form: "Form",
    forms: { AABA: "AABA, as songs", ABAB: "ABAB, verse and refrain", ABACA: "ABACA, a rondo", AABB: "AABB, a dance", "": "nothing comes back" } as Record<string, string>,
    temperature: "Temperature",
    topP: "Top-p",
    seed: "Seed",
    anySeed: "another one each time",
    own: "As the model likes",
    modelsOwn: "the model’s own",
  },
  candidates: {
    label: "Completions",
    named: (number: number) => `Completion ${number}`,
    growing: (number: number) => `Completion ${number}, being composed`,
    grows: (length: number) => `${seconds(length)} …`,
    play: (name: string) => `Play ${name}`,
    pause: (name: string) => `Pause ${name}`,
    choose: (name: string) => `Choose ${name}`,
    reject: (name: string) => `Reject ${name}`,
    rejectShort: "Reject",
    unheard: (names: readonly string[]) => `Not heard: ${names.map(spaced).join(", ")}`,
    again: "Others like these",
  },
  score: {
    label: "Critic’s score",
    hint: "The critic’s probability that a person composed it",
    short: (score: number) => percent(score),
    long: (score: number) => `critic ${percent(score)}`,
  },
  tree: {
    label: "History",
    empty: "All that you compose will be kept here.",
    rename: "Rename",
    renameKey: "Rename (F2)",
    remove: "Remove it and what goes on from it",
    removeKey: "Remove (Delete)",
    item: (title: string, score: number | null) => (score === null ? title : `${title}, critic ${percent(score)}`),
    titleOf: (origin: Origin, request: Record<string, unknown>, number: number) => {
      const style = typeof request["style"] === "string" ? spaced(request["style"]) : typeof request["blend"] === "string" ? "Blend" : "Free";
      const what = { composed: style, continued: `${style} goes on`, infilled: `${style} changed`, sample: `${style}, ready-made`, shared: `${style}, from a link` };
      return `${what[origin]} · ${number + 1}`;
    },
  },
  project: {
    untitled: "Untitled",
    name: "Name of the project",
    save: "Save",
    load: "Open",
    fresh: "New",
    undo: "Undo",
    redo: "Redo",
    undoKey: "Undo (Ctrl+Z)",
    redoKey: "Redo (Ctrl+Shift+Z)",
  },
  map: {
    title: "The map of styles",
    lead: "Styles that the model holds for alike are near each other.",
    loading: "Drawing the map …",
    hint: "Point at a style to see its neighbours; choose one to compose in it.",
    item: (name: string, nearest: readonly string[]) =>
      `Compose in the style ${spaced(name)}${nearest.length > 0 ? `; near ${nearest.slice(0, 3).map(spaced).join(", ")}` : ""}`,
    near: (name: string, nearest: readonly string[]) =>
      nearest.length === 0 ? spaced(name) : `${spaced(name)} is nearest to ${nearest.map(spaced).join(", ")}.`,
  },
  about: {
    title: "About",
    lead: "musenet rebuilds MuseNet: one network that learned many styles and instruments from MIDI files, and composes token by token.",
    limitsTitle: "What it cannot do",
    limits: [
      "The instruments you choose are suggestions unless you require them: the model weighs them against what it would rather play.",
      "Odd pairings fare badly, such as Chopin with bass and drums: it has heard nothing like them.",
      "It knows nothing of form beyond what it still remembers of the piece, so long pieces lose their way.",
      "It learned from its data, faults included. Passages that stand in the training data are marked in the roll where the data is at hand.",
      "The critic’s score is an opinion of a network, not of a listener.",
    ],
    modelTitle: "The model that is served",
    facts: (model: Model): [string, string][] => [
      ["Version", `${model.name} ${model.version ?? "?"} (${model.reference})`],
      ["Data", model.dataset.replace(/@(.{12}).*/, "@$1")],
      ["Styles", String(model.styles.length)],
      ["Instruments", String(model.instruments.length)],
      ["Encoding", `${model.encoding}, time in ${model.time}`],
      ["Context", `${model.context.toLocaleString("en")} tokens`],
      ["Critic", model.has_critic ? "yes" : "none"],
      ["Digest", model.digest.slice(0, 12)],
    ],
    cardTitle: "Its card",
    licencesTitle: "Licences",
    licences: [
      "musenet: Apache-2.0.",
      "Player: SpessaSynth (spessasynth_lib, spessasynth_core), Apache-2.0.",
      "Page: Preact and its signals, MIT; micromark, MIT; the typeface Inter, OFL-1.1.",
      "The licences of the data are on the model’s card.",
    ],
    licencesLink: "The licences in full",
    soundfontUnknown: "The soundfont is not loaded yet.",
    soundfont: (name: string, licence: string) => `Soundfont: ${name}, ${licence}.`,
  },
  errors: {
    lost: AWAY,
    unknown: "Something went wrong. Try it again.",
    noModel: "The server has no model.",
    status: (status: number) => `The server answered with status ${status}.`,
    noMidi: (name: string) => `${name} is no MIDI file. Files end in .mid or .midi.`,
    tooLarge: (name: string, size: number, most: number) => `${name} has ${megabytes(size)}; this server takes ${megabytes(most)} at most.`,
    unreadable: (name: string) => `${name} cannot be read.`,
    noProject: (name: string) => `${name} is no project of the studio.`,
    otherVersion: (name: string, version: string) => `${name} is of version ${version} of the project files, which this studio does not know.`,
    damagedProject: (name: string) => `${name} is damaged: pieces are missing or incomplete.`,
    notKept: "This browser keeps no data for the page: save your project as a file before you close it.",
    otherModel: "The link was to another version of the model; this is what the present one makes of the same request.",
  },
};
