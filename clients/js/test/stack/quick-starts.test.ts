/** What the READMEs say to copy: tests/tests/readme.rs compares them with these files. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { build } from "esbuild";

import { application } from "./application.ts";
import { launch, Site } from "./browser.ts";
import { issue, newRoom, publish } from "./stack.ts";

const run = promisify(execFile);

const root = fileURLToPath(new URL("../..", import.meta.url));

let app: string;
before(async () => {
  app = await application("react", "react-dom");
});

/** A program, with the real URL in it. */
async function quickStart(file: string, url: string): Promise<string> {
  const code = await readFile(`${root}../../docs/snippets/${file}`, "utf8");
  const placeholder = "wss://abc123.execute-api.eu-west-1.amazonaws.com/dev";
  assert.ok(code.includes(placeholder));
  return code.replace(placeholder, url);
}

/** A bundle of a program that imports React, and the client by its name. */
async function bundle(contents: string): Promise<string> {
  const built = await build({
    stdin: { contents, loader: "jsx", resolveDir: app },
    jsx: "automatic",
    bundle: true,
    format: "esm",
    write: false,
  });
  return built.outputFiles[0]?.text as string;
}

/** The file that the package gives for a name. */
const resolve = (name: string): string => createRequire(`${app}/`).resolve(name);

test("plain JavaScript", async () => {
  const room = newRoom();
  const site = await new Site(room).start();
  const client = await readFile(resolve("hermes-notifications/bundle"), "utf8");
  site.pages["/hermes.min.js"] = ["text/javascript", client];
  const { url } = await issue("alice", room);
  site.pages["/"] = [
    "text/html",
    `<!doctype html><title>Plain</title>${await quickStart("connect.html", url)}`,
  ];
  const page = await (await launch()).newPage();
  await page.goto(site.url);
  await publish(room, { type: "backup.finished", size: 17 });
  await page.getByText("Backup finished: 17 bytes").waitFor();
});

test("React", async () => {
  const room = newRoom();
  const site = await new Site(room).start();
  const { url } = await issue("alice", room);
  const program = `${await quickStart("connect.jsx", url)}
    import { StrictMode } from "react";
    import { createRoot } from "react-dom/client";
    createRoot(document.getElementById("root")).render(<StrictMode><Backups /></StrictMode>);`;
  site.pages["/app.js"] = ["text/javascript", await bundle(program)];
  site.pages["/"] = [
    "text/html",
    `<!doctype html><div id="root"></div><script type="module" src="/app.js"></script>`,
  ];
  const page = await (await launch()).newPage();
  await page.goto(site.url);
  await page.getByRole("status").getByText("open").waitFor();
  await publish(room, { type: "backup.finished", size: 17 });
  await page.getByText("Backup finished: 17 bytes").waitFor();
  assert.equal(await page.getByRole("listitem").count(), 1);
});

test("the package has what it says, and types", async () => {
  const files = await readdir(`${app}/node_modules/hermes-notifications`);
  assert.deepEqual(files.sort(), ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "dist", "package.json"]);
  await writeFile(
    `${app}/program.mts`,
    `import { Hermes } from "hermes-notifications";
    import { Hermes as Bundled } from "hermes-notifications/bundle";
    const options = { url: "wss://example.com", token: () => "" };
    new Hermes<{ greeting: { text: string } }>(options).on("greeting", ({ text }) => text.trim());
    // @ts-expect-error: there is no such option
    new Bundled({ ...options, uri: "" });`,
  );
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  await run(process.execPath, [tsc, "--strict", "--noEmit", "--module", "nodenext", "program.mts"], {
    cwd: app,
  });
});
