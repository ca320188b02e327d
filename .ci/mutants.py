"""Breaks the code in one place after another and says which breaks no test notices.

    cargo install cargo-mutants --locked
    python3.11 .ci/mutants.py --in /tmp/mutants src/ops/send.rs src/ledger/spend.rs     # these files
    python3.11 .ci/mutants.py --in /tmp/mutants                                         # all where money or data hang on

`cargo mutants` lists the breaks; this runs them faster than it would: only the binary is built anew, and the tests that
drive the real binary stay as they were built from the code as it is, so that their simulator is never broken. What they
do not notice is shown to the tests that call the library, which are built anew. What was found is kept in the folder, and
the next run goes on where this one stopped.

A break that nobody notices and that may stay is named in .ci/mutants.accepted, with the reason.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Where an error costs money or data, the dearest first.
FILES = """
    src/ops/send.rs src/ops/lookup.rs src/ops/submit.rs src/ops/parts.rs src/ops/requests.rs src/ops/room.rs
    src/ops/results/settle.rs src/ops/retry/choose.rs src/ops/queue.rs src/ops/tidy.rs src/ops/delete.rs src/ops/cancel.rs
    src/ops/lease.rs src/ops/mover.rs src/ops/trouble.rs src/ops/gone.rs src/ops/create.rs src/ops/collect.rs
    src/ops/results/account.rs src/ops/rebuild.rs src/ops/find.rs src/ops/observe.rs src/ops/estimate.rs
    src/ledger/spend.rs src/ledger/steps.rs src/ledger/jobs.rs src/ledger/limits.rs src/ledger/lease.rs src/ledger/polls.rs
    src/ledger/import.rs src/ledger/prune.rs src/ledger/rescue.rs src/ledger/salvage.rs src/ledger/uploads.rs
    src/gemini/batches.rs src/gemini/arrived.rs src/gemini/sending.rs src/gemini/chunks.rs src/gemini/session.rs
    src/gemini/retry.rs src/gemini/failure.rs src/gemini/quota.rs src/gemini/inline.rs
""".split()
# Words and pictures of things are not what this is about.
LEFT_OUT = re.compile(r"fmt::Result|-> String|xyzzy|Monitor")
# Tests of the real binary, quick ones first; after a colon, those that only wait long and come at the end.
DRIVEN = """
    budget retry partial accounting never_twice:a_create_that_may_still:a_process_killed:an_outage
    parts:a_process_killed_between:a_part_without_room:what_the_tier kinds bad_input history wrong_jobs tidying merged
    ledger_rebuilt waiting fault_matrix never_twice parts
""".split()
# Tests that call the library.
CALLED = {
    "ops": [],
    "ledger": [["--lib", "ledger::"], *(["--test", name] for name in ("polling", "ledger_concurrency", "ledger_tidy", "ledger_damage"))],
    "gemini": [["--lib", "gemini::"], ["--test", "gemini_client"]],
}
LONGEST = 150


class Checkout:
    """A copy of the repository, to be broken."""

    def __init__(self, folder):
        self.folder = folder
        if not folder.exists():
            subprocess.run(["git", "worktree", "add", "--detach", folder], cwd=HERE.parent, check=True)
        subprocess.run(["git", "checkout", "--quiet", "."], cwd=folder, check=True)
        self.environment = {**os.environ, "RUST_BACKTRACE": "0"}
        for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
            self.environment.pop(name, None)

    def run(self, command, longest=None):
        """The exit code, and what was printed."""
        try:
            done = subprocess.run(command, cwd=self.folder, env=self.environment, timeout=longest, text=True,
                                  errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            return "no end", ""

    def test_binaries(self):
        """Built from the code as it is."""
        command = ["cargo", "test", "--locked", "--no-run", "--message-format=json"]
        built = subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True).stdout
        messages = (json.loads(line) for line in built.splitlines() if line.startswith("{"))
        tests = (m for m in messages if m.get("executable") and m["target"]["kind"] == ["test"])
        return {test["target"]["name"]: test["executable"] for test in tests}

    def breaks(self, files):
        command = ["cargo", "mutants", "--list", "--json", *(part for file in files for part in ("--file", file))]
        listed = subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True).stdout
        breaks = [one for one in json.loads(listed) if not LEFT_OUT.search(one["name"])]
        return sorted(breaks, key=lambda one: files.index(one["file"]))


def broken(text, one):
    lines = text.splitlines(keepends=True)
    start, end = (sum(map(len, lines[: at["line"] - 1])) + at["column"] - 1
                  for at in (one["span"]["start"], one["span"]["end"]))
    return text[:start] + one["replacement"] + text[end:]


def verdict(checkout, binaries, file):
    """Who notices; None if nobody does."""
    if checkout.run(["cargo", "build", "--quiet", "--bin", "gemini-batch-mcp"])[0] != 0:
        return "the compiler"
    for test in CALLED[file.split("/")[1]]:
        if checkout.run(["cargo", "test", "--quiet", *test], 3 * LONGEST)[0] != 0:
            return " ".join(test)
    for test in DRIVEN:
        name, *skipped = test.split(":")
        skip = [part for each in skipped for part in ("--skip", each)]
        # Most of them wait most of the time.
        if checkout.run([binaries[name], "-q", "--test-threads=10", *skip], LONGEST)[0] != 0:
            return name
    return None


def lasting_name(name):
    """Without line and column, which move."""
    return re.sub(r":\d+:\d+:", ":", name, count=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="a checkout of its own, made if it is not there")
    given = parser.parse_args()
    accepted = {line.split(" -- ")[0] for line in (HERE / "mutants.accepted").read_text().splitlines()}
    checkout = Checkout(given.folder.resolve())
    binaries, breaks = checkout.test_binaries(), checkout.breaks(given.files)
    seen_in = checkout.folder / "target/mutants.jsonl"
    seen = dict(map(json.loads, seen_in.read_text().splitlines())) if seen_in.exists() else {}
    for number, one in enumerate(breaks, 1):
        name, source = one["name"], checkout.folder / one["file"]
        if name not in seen:
            text, start = source.read_text(), time.monotonic()
            try:
                source.write_text(broken(text, one))
                seen[name] = verdict(checkout, binaries, one["file"])
            finally:
                source.write_text(text)
            with seen_in.open("a") as kept:
                kept.write(json.dumps([name, seen[name]]) + "\n")
            print(f"{number} of {len(breaks)}, {time.monotonic() - start:.0f} s: {seen[name]}: {name}", flush=True)
    unnoticed = [one["name"] for one in breaks if seen[one["name"]] is None and lasting_name(one["name"]) not in accepted]
    print(f"{len(breaks)} breaks, {len(unnoticed)} unnoticed and not accepted", *unnoticed, sep="\n")
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
