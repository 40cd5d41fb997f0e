/** What the READMEs say to copy: tests/tests/readme.rs compares them with these files. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { launch, Site } from "./browser.ts";
import { issue, newRoom, publish } from "./stack.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

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
    stdin: { contents, loader: "jsx", resolveDir: root },
    alias: { "hermes-notifications": `${root}dist/index.js` },
    jsx: "automatic",
    bundle: true,
    format: "esm",
    write: false,
  });
  return built.outputFiles[0]?.text as string;
}

test("plain JavaScript", async () => {
  const room = newRoom();
  const site = await new Site(room).start();
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
