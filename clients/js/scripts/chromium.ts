/** Prints the path of a Chromium that runs, and installs one where there is none. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

/** Where packages of operating systems put it. */
const INSTALLED = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Whether it runs. What Ubuntu's package installs only says where to get it. */
const runs = (path: string) => spawnSync(path, ["--version"], { timeout: 60_000 }).status === 0;

/** The one that `HERMES_CHROMIUM` names; else the machine's own, else Playwright's. */
export function findChromium(): string | undefined {
  const { HERMES_CHROMIUM } = process.env;
  if (!HERMES_CHROMIUM) return [...INSTALLED, chromium.executablePath()].find(runs);
  if (!runs(HERMES_CHROMIUM))
    throw new Error(`HERMES_CHROMIUM names no Chromium that runs: ${HERMES_CHROMIUM}`);
  return HERMES_CHROMIUM;
}

/** By the system's package where that can be, else the one that this version of Playwright is pinned to. */
function install(): void {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    const isUpdated = run("apt-get", "update", "--quiet");
    if (isUpdated) run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium");
    if (findChromium()) return;
  }
  const cli = fileURLToPath(new URL("../node_modules/playwright-core/cli.js", import.meta.url));
  run(process.execPath, cli, "install", ...(isRoot ? ["--with-deps"] : []), "chromium");
}

/** Runs a command that may fail; what it says goes to the standard error. */
function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0;
}

if (import.meta.main) {
  if (!findChromium()) install();
  const found = findChromium();
  if (!found) {
    throw new Error(
      "no Chromium that runs, and none could be installed. Install one (Debian: apt-get install chromium; " +
        "elsewhere: npx playwright-core install --with-deps chromium), or set HERMES_CHROMIUM to one",
    );
  }
  console.log(found);
}
