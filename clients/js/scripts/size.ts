/** Fails where the client with its dependencies is too large for what it is. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 8000;

const bundle = readFileSync(new URL("../dist/hermes.min.js", import.meta.url));
const size = gzipSync(bundle, { level: 9 }).length;
console.log(`dist/hermes.min.js: ${bundle.length} bytes, ${size} gzipped; at most ${LIMIT}`);
if (size >= LIMIT) process.exitCode = 1;
