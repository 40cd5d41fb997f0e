/** An application whose package manager has installed the client, as it would be published. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { closing } from "./browser.ts";

const run = promisify(execFile);

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where Node.js brings it. Its program in PATH may be none: the wheel of PyPI has no links. */
const npm = join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js");

/** The folder of an application with the client, what that declares to depend on, and packages of its own. */
export async function application(...own: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "hermes-application-"));
  closing.push(() => rm(folder, { recursive: true }));
  const pack = ["pack", "--no-update-notifier", "--pack-destination", folder];
  await run(process.execPath, [npm, ...pack], { cwd: root });
  const [packed = ""] = await readdir(folder);
  const installed = join(folder, "node_modules/hermes-notifications");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", join(folder, packed), "-C", installed, "--strip-components=1"]);
  const { dependencies } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  for (const name of [...Object.keys(dependencies), ...own]) {
    await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
  return folder;
}
