"""Breaks the code in one place after another and says which breaks no test notices.

    cargo install cargo-mutants --locked
    python3.11 -m pip install tree-sitter tree-sitter-rust
    python3.11 .ci/mutants.py --in /tmp/mutants                         # all where money or data hang on: a day
    python3.11 .ci/mutants.py --in /tmp/mutants src/ops/send.rs ...     # those of these files

It is a third quicker with TMPDIR in memory (/dev/shm).

What is committed is looked at. `cargo mutants` lists the breaks. To build the program once for each would take days, so all
of them are built into one, each behind a switch (the environment variable BREAK). Each test is run once to see which breaks
it comes by, and how long it takes; then each break is switched on for the tests that come by it, the quickest first, until
one fails. What was found is kept in the folder, and the next run goes on where this one stopped. When all breaks of a file are judged, that is noted in
.ci/mutants.judged, with the hash of the file and what nobody noticed: commit it, and nobody has to judge them again before
the file changes (--again does).

A break that nobody notices and that may stay is named in .ci/mutants.accepted, with the reason.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import tree_sitter
import tree_sitter_rust

HERE = Path(__file__).resolve().parent
FILES = ["src/ops/**", "src/ledger/**", "src/gemini/**"]
# Where an error costs money or data at once: these first, in this order.
FIRST = """
    src/ops/send.rs src/ops/lookup.rs src/ops/submit.rs src/ops/parts.rs src/ops/requests.rs src/ops/room.rs
    src/ops/results/settle.rs src/ops/retry/choose.rs src/ops/queue.rs src/ops/tidy.rs src/ops/delete.rs src/ops/cancel.rs
    src/ops/stop.rs src/ledger/intent.rs src/ledger/spend.rs src/ledger/steps.rs src/ledger/jobs.rs src/ledger/limits.rs src/ledger/lease.rs src/ledger/polls.rs
    src/ops/lease.rs src/ops/mover.rs src/ops/trouble.rs src/ops/gone.rs src/ops/create.rs src/ops/collect.rs
    src/ops/results/account.rs src/ops/rebuild.rs src/ops/find.rs src/ops/observe.rs src/ops/retry.rs src/ops/retry/again.rs
    src/ledger/import.rs src/ledger/prune.rs src/ledger/rescue.rs src/ledger/salvage.rs src/ledger/uploads.rs
    src/gemini/batches.rs src/gemini/arrived.rs src/gemini/sending.rs src/gemini/chunks.rs src/gemini/session.rs
    src/gemini/retry.rs src/gemini/failure.rs src/gemini/quota.rs src/gemini/inline.rs src/ops/estimate.rs src/ops/checked.rs
""".split()
# Words and pictures of things are not what this is about.
LEFT_OUT = re.compile(r"fmt::Result|-> String|xyzzy|Monitor|-> &'static str|-> impl ")
# Tests that call the library: there, it is broken in the test as well. Elsewhere only the program is, so that no test
# looks at what it did through broken eyes, and its simulator is sound.
CALLING = {"lib", "gemini_client", "ledger_concurrency", "ledger_damage", "ledger_tidy", "polling"}
AT_ONCE = 6
# Tests of one binary at the same time.
AT_A_TIME = 4
# Tests that take longer, most of it waiting, are shown only what no more than so many tests come by.
SLOW, FEW = 25, 12
# Tests that get where few do within so many lines of a break come first.
NEAR, LINES = 14, 15
LOOKED = "target/mutants-looked.jsonl"
SWITCH = """
#[doc(hidden)]
pub mod breaks {
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static HERE: LazyLock<bool> = LazyLock::new(|| {
        let program = std::env::current_exe().is_ok_and(|exe| exe.ends_with("gemini-batch-mcp"));
        program || std::env::var_os("BREAK_HERE").is_some()
    });
    static ON: LazyLock<usize> = LazyLock::new(|| {
        let on = std::env::var("BREAK").ok().and_then(|number| number.parse().ok());
        if *HERE { on.unwrap_or(usize::MAX) } else { usize::MAX }
    });
    static MET: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
    static NOTES: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
        let path = std::env::var_os("BREAKS_MET").filter(|_| *HERE)?;
        std::fs::OpenOptions::new().create(true).append(true).open(path).ok()
    });

    /// Whether this break is wanted.
    pub fn on(number: usize) -> bool {
        if let (Some(mut notes), false) = (NOTES.as_ref(), MET[number].swap(true, Ordering::Relaxed)) {
            let _ = notes.write_all(format!("{number}\\n").as_bytes());
        }
        *ON == number
    }
}
"""


class Judged:
    """The files whose breaks are all judged: a line for each, with the hash of its content, and what nobody noticed."""

    def __init__(self, path):
        self.path, self.files = path, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            if line.startswith("    "):
                self.files[file][2].append(line.strip())
            else:
                file, content, count = line.split(" ")[:3]
                self.files[file] = (content, int(count), [])

    def has(self, file):
        return file in self.files and self.files[file][0] == content_of(file)

    def add(self, file, count, unnoticed):
        self.files[file] = (content_of(file), count, sorted(unnoticed))
        lines = [line for name, (content, count, unnoticed) in sorted(self.files.items())
                 for line in [f"{name} {content} {count} breaks", *(f"    {one}" for one in unnoticed)]]
        self.path.write_text("\n".join(lines) + "\n")


def sources():
    """The hashes of all that the binaries are made of."""
    return [content_of(path) for path in ("src", "tests", "Cargo.toml", "Cargo.lock")]


@functools.cache
def contents():
    """The hash that git has of each committed file and folder; as it was when first asked, whatever is committed meanwhile."""
    listed = subprocess.run(["git", "ls-tree", "-rt", "--abbrev=12", "HEAD"], cwd=HERE.parent, check=True, stdout=subprocess.PIPE,
                            text=True)
    return {path: about.split()[2] for about, path in (line.split("\t") for line in listed.stdout.splitlines())}


def content_of(file):
    return contents().get(file)


class Checkout:
    """A copy of the repository, to be broken."""

    def __init__(self, folder):
        self.folder = folder
        if not folder.exists():
            subprocess.run(["git", "worktree", "add", "--detach", folder], cwd=HERE.parent, check=True)
        self.environment = {**os.environ, "RUST_BACKTRACE": "0", "GOOGLE_API_KEY": "", "GEMINI_API_KEY": ""}

    def breaks(self):
        command = ["cargo", "mutants", "--list", "--json", *(part for file in FILES for part in ("--file", file))]
        listed = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
        return [one for one in json.loads(listed) if not LEFT_OUT.search(one["name"])]

    def messages(self, command):
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def write_switched(self, breaks, unfit):
        """Writes all breaks into the sources; where in which file each came to stand."""
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True)
        subprocess.run(["git", "checkout", "--quiet", "--force", "--detach", commit.stdout.strip()], cwd=self.folder, check=True)
        of_file = collections.defaultdict(list)
        for number, one in enumerate(breaks):
            if number not in unfit:
                of_file[one["file"]].append((number, one))
        places = {}
        for file, members in of_file.items():
            source = self.folder / file
            switched = Switched(source.read_bytes(), members)
            unfit |= switched.unfit
            source.write_bytes(switched.text)
            places[file] = switched.places
        library = self.folder / "src/lib.rs"
        library.write_text(library.read_text() + SWITCH.replace("COUNT", str(len(breaks))))
        return places

    def built(self, breaks):
        """The test binaries, and the breaks that do not compile; as they are, if this commit was built before."""
        note = self.folder / "target/mutants-built.json"
        if note.exists() and (kept := json.loads(note.read_text()))["sources"] == sources():
            return kept["binaries"], set(kept["unfit"])
        binaries, unfit = self.build(breaks)
        (self.folder / LOOKED).unlink(missing_ok=True)  # the breaks may have other numbers, the tests other ways
        note.write_text(json.dumps({"sources": sources(), "binaries": binaries, "unfit": sorted(unfit)}))
        return binaries, unfit

    def build(self, breaks):
        unfit = set()
        while True:
            places = self.write_switched(breaks, unfit)
            messages = self.messages(["cargo", "check", "--locked", "--lib", "--message-format=json"])
            errors = [m["message"] for m in messages if m["reason"] == "compiler-message" and m["message"]["level"] == "error"]
            at_fault = {number for error in errors for span in error["spans"] if span["is_primary"]
                        for number, start, end, only in places.get(span["file_name"], [])
                        if start <= span["byte_start"] and span["byte_end"] <= end and only in (None, code(error))}
            print(f"{len(errors)} errors of the compiler, {len(at_fault)} breaks left out for them", flush=True)
            if not errors:
                break
            if not at_fault:
                sys.exit("\n".join(m["message"]["rendered"] for m in messages if m["reason"] == "compiler-message"))
            unfit |= at_fault
        built = self.messages(["cargo", "test", "--locked", "--no-run", "--message-format=json"])
        tests = [m for m in built if m.get("executable") and m["profile"]["test"]]
        return {"lib" if "lib" in m["target"]["kind"] else m["target"]["name"]: m["executable"] for m in tests}, unfit

    def run(self, binary, executable, tests, longest, **environment):
        """Whether all these tests of the binary pass."""
        if binary in CALLING:
            environment["BREAK_HERE"] = "1"
        command = [executable, "-q", f"--test-threads={AT_A_TIME}", "--exact", *tests]
        with subprocess.Popen(command, cwd=self.folder, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as run:
            try:
                return run.wait(longest) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                # With what the tests started: a broken program may never end by itself.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)


def code(error):
    return (error["code"] or {}).get("code")


class Switched:
    """A source with its breaks, each behind its switch."""

    def __init__(self, source, members):
        self.source, self.starts = source, [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.in_match = collections.defaultdict(list)
        self.at_node, self.before, self.unfit = collections.defaultdict(list), collections.defaultdict(list), set()
        tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language())).parse(source)
        for number, one in members:
            self.place(tree.root_node, number, one)
        self.out, self.places = bytearray(), []
        self.render(tree.root_node)
        self.text = bytes(self.out) + source[tree.root_node.end_byte:]

    def offset(self, at):
        line = self.starts[at["line"] - 1]
        text = self.source[line:].decode()
        return line + len(text[: at["column"] - 1].encode())

    def place(self, root, number, one):
        start, end = self.offset(one["span"]["start"]), self.offset(one["span"]["end"])
        node, kind = root.descendant_for_byte_range(start, end), one["genre"]
        if kind == "FnValue":
            self.before[start].append((number, f"if crate::breaks::on({number}) {{ return {one['replacement']}; }}\n"))
            return
        if kind == "MatchArm":
            while node and node.type != "match_arm":
                node = node.parent
            self.in_match[node.parent.parent.id].append(number)
            pattern = node.child_by_field_name("pattern")
            condition = pattern.child_by_field_name("condition")
            if condition:
                self.before[condition.start_byte].append((number, f"!crate::breaks::on({number}) && "))
            else:
                self.before[("after", pattern.end_byte)].append((number, f" if !crate::breaks::on({number})"))
            return
        wanted = {"BinaryOperator": ("binary_expression", "compound_assignment_expr"), "UnaryOperator": ("unary_expression",),
                  "StructField": ("struct_expression",)}.get(kind)
        while wanted and node and node.type not in wanted:
            node = node.parent if node.type not in ("block", "let_chain") else None
        # A pattern that binds names cannot stand behind a switch.
        if not node or node.start_byte > start or node.end_byte < end or node.type in ("let_condition", "let_chain", "match_pattern"):
            self.unfit.add(number)
            return
        left = self.source[node.start_byte:start]
        if kind == "BinaryOperator":
            left = b"(" + left + b")"  # `a as u64 < b` is none
        broken = left + one["replacement"].encode() + self.source[end:node.end_byte]
        if kind == "StructField":
            broken = re.sub(rb"\{\s*,", b"{", broken.replace(b",,", b","))
        self.at_node[(node.start_byte, node.end_byte, node.type)].append((number, broken))

    def put(self, number, text):
        self.places.append((number, len(self.out), len(self.out) + len(text), None))
        self.out += text

    def render(self, node):
        for number, text in self.before.pop(node.start_byte, []):
            self.put(number, text.encode())
        broken = self.at_node.pop((node.start_byte, node.end_byte, node.type), [])
        if broken:
            self.out += b"("
        for number, text in broken:
            start = len(self.out)
            self.out += f"if crate::breaks::on({number}) {{ ".encode() + text + b" } else "
            self.places.append((number, start, len(self.out), None))
        if broken:
            self.out += b"{ "
        done, begun = node.start_byte, len(self.out)
        for child in node.children:
            self.out += self.source[done:child.start_byte]
            self.render(child)
            done = child.end_byte
        self.out += self.source[done:node.end_byte]
        # Without this arm, not all cases are covered.
        self.places += [(number, begun, len(self.out), "E0004") for number in self.in_match.get(node.id, [])]
        if broken:
            self.out += b" })"
        for number, text in self.before.pop(("after", node.end_byte), []) if node.type == "match_pattern" else []:
            self.put(number, text.encode())


def verdict_of(one):
    """What the verdict of a break is kept under: it holds for this content of the file."""
    return f"{content_of(one['file'])} {one['name']}"


def lasting_name(name):
    """Without line and column, which move."""
    return re.sub(r":\d+:\d+:", ":", name, count=1)


class Kept:
    """What was found, as lines of JSON."""

    def __init__(self, path):
        self.path = path
        self.known = dict(map(json.loads, path.read_text().splitlines())) if path.exists() else {}

    def add(self, name, value):
        self.known[name] = value
        with self.path.open("a") as file:
            file.write(json.dumps([name, value]) + "\n")


def look(checkout, binaries, kept):
    """Each test alone: how long it takes, and which breaks it comes by."""
    def one(test):
        binary, name = test
        met = checkout.folder / "target" / f"met-{binary}-{re.sub(r'[^a-z0-9_]', '-', name)}"
        met.unlink(missing_ok=True)
        start = time.monotonic()
        passed = checkout.run(binary, binaries[binary], [name], 600, BREAKS_MET=str(met))
        numbers = sorted(set(map(int, met.read_text().split()))) if met.exists() else []
        met.unlink(missing_ok=True)
        return f"{binary} {name}", [time.monotonic() - start, numbers if passed else []]

    tests = [(binary, line.removesuffix(": test"))
             for binary, executable in binaries.items()
             for line in subprocess.run([executable, "--list"], check=True, stdout=subprocess.PIPE, text=True,
                                        cwd=checkout.folder).stdout.splitlines()
             if line.endswith(": test")]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, found in pool.map(one, [test for test in tests if " ".join(test) not in kept.known]):
            kept.add(name, found)
            if not found[1]:
                print(f"comes by nothing, or fails: {name}", flush=True)


def binary_of(test):
    return test.split(" ")[0]


class Guide:
    """Which tests will most likely notice a break: those that get where few others do near it, and their neighbours."""

    def __init__(self, breaks, looked):
        self.breaks, self.coming_by = breaks, collections.defaultdict(list)
        for test, (seconds, numbers) in looked.items():
            for number in numbers:
                self.coming_by[number].append((seconds, test))
        self.of_file = collections.defaultdict(list)
        for number, one in enumerate(breaks):
            self.of_file[one["file"]].append(number)
        self.noticed = collections.defaultdict(collections.Counter)

    def rarity(self, number):
        return 1 / len(self.coming_by[number])

    def shown_to(self, number, patience):
        """The tests of a break that it is shown to: some quick ones, then those that get where few others do near it, then
        whole binaries, those first who noticed most of the other breaks of its file, or get where few others do near it."""
        tests = sorted(self.coming_by[number])
        if len(tests) > FEW:
            tests = [test for test in tests if test[0] < SLOW]
        quick, rest = tests[:4], tests[4:]
        rarely = self.near(number)
        rest.sort(key=lambda test: -rarely[test[1]] / (test[0] + 1))
        near, rest = rest[:NEAR], rest[NEAR:]
        noticed, rare, seconds_of = self.noticed[self.breaks[number]["file"]], collections.Counter(), collections.Counter()
        for seconds, test in tests:
            rare[binary_of(test)] += rarely[test]
            seconds_of[binary_of(test)] += seconds
        value = {binary: (noticed[binary] + rare[binary]) / (seconds_of[binary] + 5) for binary in seconds_of}
        rest.sort(key=lambda test: (-value[binary_of(test[1])], test[1]))
        until_now = itertools.accumulate(seconds for seconds, _test in rest)
        return quick + near + [test for test, seconds in zip(rest, until_now) if seconds < AT_A_TIME * patience]

    def near(self, number):
        """How rarely met what is that each test meets within some lines."""
        line = self.breaks[number]["span"]["start"]["line"]
        near = collections.Counter()
        for other in self.of_file[self.breaks[number]["file"]]:
            if abs(self.breaks[other]["span"]["start"]["line"] - line) <= LINES:
                for _seconds, test in self.coming_by[other]:
                    near[test] += self.rarity(other)
        return near


def noticed_by(checkout, binaries, number, tests):
    """The binary one of whose tests fails; None if all pass."""
    for group in tests[:4], tests[4:12], tests[12:30], tests[30:60], tests[60:]:
        of_binary = collections.defaultdict(list)
        for seconds, test in group:
            binary, name = test.split(" ")
            of_binary[binary].append((seconds, name))
        for binary, members in of_binary.items():
            longest = 40 + 5 * sum(seconds for seconds, _name in members)
            if not checkout.run(binary, binaries[binary], [name for _s, name in members], longest, BREAK=str(number)):
                return binary
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="those to judge, if not all")
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="a checkout of its own, made if it is not there")
    parser.add_argument("--patience", type=int, default=30, help="seconds, more or less, that a break is shown to tests besides those "
                        "that will most likely notice it; all together take a quarter of an hour")
    parser.add_argument("--again", action="store_true", help="also files that were judged as they are")
    parser.add_argument("--accepted", action="store_true", help="with --again: also what is accepted; take from the list what a "
                        "test notices by now")
    given = parser.parse_args()
    accepted = {line.split(" -- ")[0] for line in (HERE / "mutants.accepted").read_text().splitlines()}
    checkout = Checkout(given.folder.resolve())
    breaks = checkout.breaks()
    binaries, unfit = checkout.built(breaks)
    print(f"{len(breaks)} breaks, {len(unfit)} of them do not compile", flush=True)
    looked = Kept(checkout.folder / LOOKED)
    look(checkout, binaries, looked)
    guide = Guide(breaks, looked.known)
    verdicts = Kept(checkout.folder / "target/mutants-verdicts.jsonl")
    for one in breaks:
        by = verdicts.known.get(verdict_of(one), "nobody")
        guide.noticed[one["file"]].update([] if by.startswith("nobody") else [by])

    judged = Judged(HERE / "mutants.judged")

    def judge(number):
        name = breaks[number]["name"]
        tests = guide.shown_to(number, given.patience)
        by = noticed_by(checkout, binaries, number, tests)
        guide.noticed[breaks[number]["file"]].update([by] if by else [])
        all_of_them = len(tests) == len(guide.coming_by[number])
        verdict = by or ("nobody" if all_of_them else f"nobody in {given.patience} s")
        verdicts.add(verdict_of(breaks[number]), verdict)
        print(f"{len(verdicts.known)} of {len(breaks)}: {verdict}: {name}", flush=True)
        fit = [breaks[other] for other in guide.of_file[breaks[number]["file"]] if other not in unfit]
        if not any(is_open(one) for one in fit):
            unnoticed = [one["name"] for one in fit if verdicts.known.get(verdict_of(one), "").startswith("nobody")]
            judged.add(breaks[number]["file"], len(fit), map(lasting_name, unnoticed))

    def urgency(number):
        file = breaks[number]["file"]
        return FIRST.index(file) if file in FIRST else len(FIRST)

    def is_open(one):
        verdict = verdicts.known.get(verdict_of(one))
        if lasting_name(one["name"]) in accepted and not given.accepted:
            return False
        return verdict is None or (verdict.startswith("nobody in") and int(verdict.split()[2]) < given.patience)

    def is_wanted(number):
        file = breaks[number]["file"]
        return number not in unfit and (not given.files or file in given.files) and (given.again or not judged.has(file))

    left = [number for number in range(len(breaks)) if is_wanted(number) and is_open(breaks[number])]
    left.sort(key=urgency)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(judge, left))
    files = {one["file"] for one in breaks}
    unnoticed = [name for file in files if judged.has(file) for name in judged.files[file][2] if name not in accepted]
    unjudged = sorted(file for file in files if not judged.has(file))
    print(f"{len(breaks)} breaks in {len(files)} files; files that are not judged as they are: {len(unjudged)}; unnoticed and "
          f"not accepted: {len(unnoticed)}")
    print(*sorted(unnoticed), *unjudged, sep="\n")
    sys.exit(1 if unnoticed or unjudged else 0)


if __name__ == "__main__":
    main()
