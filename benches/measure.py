#!/usr/bin/env python3
"""Measures whole processes side by side and prints the table of benches/README.md.

    cargo build --release
    python3 benches/measure.py            # some minutes
    python3 benches/measure.py --full     # the sizes that the goals are stated for
    python3 benches/measure.py --two-gb memory

Needs nothing but Python and the release binary. Peers that are not installed (orjson, duckdb, mcp,
google-genai) are left out, and the table says so.
"""

import argparse
import gzip
import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import load
import made_data
import memory
import statusline
import wire
from processes import Cost, Failed, Server, in_turn, own_peak_kb, run

HERE = Path(__file__).resolve().parent
PLAIN = "Write a description of {{ name }} for our shop.\nCategory: {{ category }}\nFeatures: {{ features }}"
FILTERS = (
    "Write a description of {{ name | upper }} for our shop.\nCategory: {{ category }}\n"
    "Features: {{ features | split(';') | join(', ') }}"
)
CONDITION = (
    "Write a description of {{ name | title }} for our shop.\n"
    "{% if category %}Category: {{ category }}\n{% else %}No category.\n{% endif %}Features: {{ features }}"
)
TEMPLATES = {
    "plain template": (PLAIN, "plain"),
    "filters on columns": (FILTERS, "filters"),
    "condition and title case": (CONDITION, "condition"),
}


class Bench:
    """The binary, the folder of the data, and the rows of the table."""

    def __init__(self, options, folder):
        self.binary, self.folder, self.rounds = options.binary, folder, options.rounds
        self.python, self.node_modules = options.python, options.node_modules
        self.small, self.medium, self.large, self.rows = options.sizes
        self.table = []

    def ours(self, *arguments, home="home", environment=None, expected=(0,), simulate=True):
        simulated = ["--simulate"] if simulate else []
        command = [self.binary, *simulated, "--home", self.folder / home, "--root", self.folder, "--json", *arguments]
        return run(command, environment, expected)

    def peer(self, *arguments):
        return [self.python, HERE / "peers.py", *map(str, arguments)]

    def has(self, module):
        return run_quietly([self.python, "-c", f"import {module}"])

    def add(self, operation, data, costs, goals=""):
        """A row for each contender; ours is the first."""
        first = next(iter(costs.values()))
        for label, cost in costs.items():
            ratio = "" if cost is first else f"{cost.cpu / max(first.cpu, 1e-6):.1f}x / {cost.wall / first.wall:.1f}x"
            peak = f"{cost.peak_mb:.0f} MB" if cost.peak_kb else ""
            cells = [operation, data, label, f"{cost.cpu:.2f} s", f"{cost.wall:.2f} s", peak, ratio]
            self.table.append("| " + " | ".join(cells) + " |")
            operation = data = ""

    def print_table(self):
        print("\n| Operation | Data | Who | CPU | Wall | Peak memory | takes so many times ours, CPU / wall |")
        print("|---|---|---|---|---|---|---|")
        print("\n".join(self.table))


def run_quietly(command):
    try:
        run(command)
    except Failed:
        return False
    return True


def megabytes(path):
    return f"{path.stat().st_size / 1e6:,.0f} MB"


def validate(bench):
    """Checks request files, against a loop in Python and against hashing the same bytes."""
    sizes = {
        "small": (bench.small, lambda path, count: made_data.text_requests(path, count, 330)),
        "8 KB": (bench.medium, lambda path, count: made_data.text_requests(path, count, 8000)),
        "1 MB": (bench.large, made_data.media_requests),
    }
    for name, (count, make) in sizes.items():
        path = bench.folder / "requests.jsonl"
        made_data.apart(make, path, count)
        costs = in_turn(
            {
                "create --dry-run": lambda: bench.ours("create", path, "--dry-run"),
                bench.json_name + " loop, shape only": bench.peer("validate", path),
                "SHA-256 of the file (hashlib)": bench.peer("sha256", path),
            },
            bench.rounds,
        )
        bench.add("validate", f"{count:,} {name} lines, {megabytes(path)}", costs)
        path.unlink()


def build(bench):
    """Rows of a CSV file into request lines."""
    rows = bench.folder / "rows.csv"
    made_data.apart(made_data.table, rows, bench.rows, 150)
    output, peer_output = bench.folder / "built.jsonl", bench.folder / "peer.jsonl"

    def ours(template):
        output.unlink(missing_ok=True)
        return bench.ours("build", rows, "--template", template, "--key", "sku", "--output", output)

    for name, (template, texts) in TEMPLATES.items():
        costs = in_turn(
            {
                "build": lambda template=template: ours(template),
                "Python csv + json.dumps": bench.peer("build", rows, peer_output, texts),
            },
            bench.rounds,
        )
        same_requests(output, peer_output)
        bench.add(f"build, {name}", f"{bench.rows:,} rows, {megabytes(rows)}", costs)


def build_packed(bench):
    """The same rows, compressed."""
    rows = bench.folder / "rows.csv"
    made_data.apart(made_data.table, rows, bench.rows, 150)
    packed = bench.folder / "rows.csv.gz"
    with open(rows, "rb") as plain, gzip.open(packed, "wb", compresslevel=6) as file:
        shutil.copyfileobj(plain, file)
    output, peer_output = bench.folder / "built.jsonl", bench.folder / "peer.jsonl"

    def ours():
        output.unlink(missing_ok=True)
        return bench.ours("build", packed, "--template", PLAIN, "--key", "sku", "--output", output)

    contenders = {"build": ours, "Python gzip + csv + json.dumps": bench.peer("build", packed, peer_output, "plain")}
    costs = in_turn(contenders, bench.rounds)
    same_requests(output, peer_output)
    bench.add("build, gzip", f"{bench.rows:,} rows, {megabytes(packed)}", costs)


def same_requests(ours, theirs):
    """Both made the same requests: otherwise the comparison means nothing."""
    with open(ours, encoding="utf-8") as left, open(theirs, encoding="utf-8") as right:
        for number, (one, other) in enumerate(zip(left, right, strict=True), 1):
            if number % 997 == 1 and json.loads(one) != json.loads(other):
                raise Failed(f"line {number} differs: {one[:300]} {other[:300]}")


def results(bench):
    """Result lines that were brought home already, into a CSV file, alone and beside their rows."""
    rows = bench.folder / "rows.csv"
    made_data.apart(made_data.table, rows, bench.rows, 150)
    job, kept = wire.finished_job(bench, rows, PLAIN)
    made_data.apart(made_data.results, kept, "SKU-{:07}", bench.rows)
    output, peer_output = bench.folder / "answers.csv", bench.folder / "peer.csv"

    def ours(*more, output=output):
        output.unlink(missing_ok=True)
        return bench.ours("results", job, "--output", output, *more, home="wire", expected=(4,), simulate=False)

    def compare(operation, more, work, arguments):
        contenders = {
            operation: lambda: ours(*more),
            f"{bench.json_name} + csv": bench.peer(work, kept, *arguments, peer_output),
        }
        if bench.has("duckdb"):
            contenders["duckdb"] = bench.peer(f"duckdb_{work}", kept, *arguments, peer_output)
        costs = in_turn(contenders, bench.rounds)
        bench.add(operation, f"{bench.rows:,} lines, {megabytes(kept)}", costs)

    compare("results", (), "results", ())
    compare("results --join", ("--join",), "join", (rows,))
    if bench.has("duckdb"):
        output, peer_output = bench.folder / "answers.parquet", bench.folder / "peer.parquet"
        contenders = {
            "results -o x.parquet": lambda: ours(output=output),
            "duckdb": bench.peer("duckdb_parquet", kept, peer_output),
        }
        bench.add("results to Parquet", f"{bench.rows:,} lines, {megabytes(kept)}", in_turn(contenders, bench.rounds))


def start(bench):
    """From nothing to an answered tools/list, memory at rest, and the round trip of a call."""
    contenders = {"gemini-batch-mcp": [bench.binary, "--simulate", "--home", bench.folder / "served"]}
    if bench.has("mcp"):
        contenders["Python mcp"] = bench.peer("mcp_server")
    tools = {"gemini-batch-mcp": ("list_batches", {"remote": False}), "Python mcp": ("list_jobs", {})}
    times, idle, calls = ({label: [] for label in contenders} for _ in range(3))
    for number in range(20):
        for label, command in contenders.items():
            server = Server(command)
            times[label].append(server.greet())
            idle[label].append(server.idle_kb())
            if number == 0:
                calls[label] = round_trips(server, *tools[label])
            server.stop()
    print("\n| Server | Start to tools/list, median of 20 | Idle memory | tools/call, median of 300 |\n|---|---|---|---|")
    for label in contenders:
        print(
            f"| {label} | {statistics.median(times[label]) * 1000:.1f} ms | "
            f"{statistics.median(idle[label]) / 1024:.1f} MB | {statistics.median(calls[label]) * 1e6:.0f} µs |"
        )


def round_trips(server, name, arguments):
    took = []
    for number in range(300):
        before = time.perf_counter()
        server.call(10 + number, "tools/call", {"name": name, "arguments": arguments})
        took.append(time.perf_counter() - before)
    return took


SECTIONS = {
    "validate": validate,
    "build": build,
    "packed": build_packed,
    "results": results,
    "start": start,
    "statusline": statusline.measure,
    "wire": wire.measure,
    "memory": memory.measure,
    "load": load.measure,
}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all unless named")
    parser.add_argument("--binary", type=Path, default=HERE.parent / "target/release/gemini-batch-mcp")
    parser.add_argument("--python", default=sys.executable, help="runs the peers; one with orjson, duckdb, mcp, google-genai")
    parser.add_argument("--node-modules", type=Path, help="load: a folder with @modelcontextprotocol/sdk, for its peer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs=4, metavar=("SMALL", "MEDIUM", "LARGE", "ROWS"), help="lines and rows")
    parser.add_argument("--full", action="store_true", help="1,000,000 small, 100,000 of 8 KB, 2,000 of 1 MB, 1,000,000 rows")
    parser.add_argument("--two-gb", action="store_true", help="memory: an input of 2 GB too")
    parser.add_argument("--dir", type=Path, help="where the data is made [default: a temporary folder]")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}")
    full, usual = (1_000_000, 100_000, 2_000, 1_000_000), (200_000, 20_000, 400, 200_000)
    given.sizes = tuple(given.sizes or (full if given.full else usual))
    return given


def main():
    given = options()
    folder = Path(tempfile.mkdtemp(prefix="measure-", dir=given.dir))
    try:
        bench = Bench(given, folder)
        bench.two_gb = given.two_gb
        bench.json_name = "orjson" if bench.has("orjson") else "json (orjson is not installed)"
        missing = [name for name in ("orjson", "duckdb", "mcp", "google.genai") if not bench.has(name)]
        for name in given.sections or SECTIONS:
            print(f"{name} …", file=sys.stderr)
            SECTIONS[name](bench)
        if bench.table:
            bench.print_table()
        print(f"\nMedians of {given.rounds} rounds in turn. Memory is told from {own_peak_kb() / 1024:.0f} MB on.")
        print(f"Load average at the end: {os.getloadavg()[0]:.1f}. Not installed: {', '.join(missing) or 'nothing'}.")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
