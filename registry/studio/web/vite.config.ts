// The build: everything goes into ../built, and with it the licences of what is built in, and `build.json`, the digests
// of the sources and of the files, by which a test finds a build that is not that of the sources.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { defineConfig, type Plugin } from "vite";

const SOURCES = import.meta.dirname;
const BUILT = join(SOURCES, "..", "built");
const RECORD = "build.json";

/** Return the SHA-256 of each file of a folder by its path, sorted. */
function digests(folder: string, leftOut: string[]): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !leftOut.includes(path.split("/")[0] as string))
    .sort();
  const digest = (path: string) => createHash("sha256").update(readFileSync(join(folder, path))).digest("hex");
  return Object.fromEntries(files.map((path) => [path, digest(path)]));
}

function record(): Plugin {
  return {
    name: "record",
    apply: "build",
    closeBundle() {
      const content = { sources: digests(SOURCES, ["node_modules"]), files: digests(BUILT, [RECORD]) };
      writeFileSync(join(BUILT, RECORD), JSON.stringify(content, null, 1) + "\n");
    },
  };
}

/** Write the licences of the packages that are built in, fonts included. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === "chunk" ? file.moduleIds : file.originalFileNames));
      const names = modules.map((id) => id.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]);
      const texts = [...new Set(names)].filter((name) => name !== undefined).sort().map((name) => {
        const folder = join(SOURCES, "node_modules", name);
        const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
        const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
        const text = file === undefined ? about.license : readFileSync(join(folder, file), "utf8").trim();
        return `${name} ${about.version} (${about.license})\n\n${text}\n`;
      });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [licences(), record()],
  build: { outDir: BUILT, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  worker: { format: "es" },
  server: { proxy: { "/v1": "http://127.0.0.1:8765", "/readyz": "http://127.0.0.1:8765" } },
});
