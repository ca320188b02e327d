"""Peak memory of each verb as the input grows: it may grow by 64 MB, and 48 bytes a key."""

import shutil

import made_data
import wire

TEMPLATE = "Describe {{ name }}: {{ features }}"
ALLOWED_MB = 64
KEY_BYTES = 48
ROW_BYTES = 560


def measure(bench):
    """Takes jobs of several sizes through every step, each step a process of its own."""
    cases = [("2 MB", 2_000_000 // ROW_BYTES, 400), ("400,000 rows", 400_000, 400)]
    if bench.two_gb:
        cases[1:] = [("2 GB of 8 KB rows", 245_000, 8000), ("2 GB of short rows", 2_000_000_000 // ROW_BYTES, 400)]
    print("\n| Input | Rows | Step | CPU | Wall | Peak memory | More than with 2 MB | Allowed |\n|---|---|---|---|---|---|---|---|")
    least = {}
    for name, rows, length in cases:
        for step, cost in journey(bench, rows, length):
            base = least.setdefault(step, cost)
            allowed = ALLOWED_MB + rows * KEY_BYTES / 2**20
            more = "" if base is cost else f"{cost.peak_mb - base.peak_mb:.0f} MB"
            limit = "" if base is cost else f"{allowed:.0f} MB" + ("" if cost.peak_mb - base.peak_mb <= allowed else " **exceeded**")
            cells = [name, f"{rows:,}", step, f"{cost.cpu:.2f} s", f"{cost.wall:.2f} s", f"{cost.peak_mb:.0f} MB", more, limit]
            print("| " + " | ".join(cells) + " |", flush=True)
            name = ""


def journey(bench, rows, length):
    """A job from its rows to its joined answers; then the same in the fewest calls under --simulate."""
    folder = bench.folder / "journey"
    folder.mkdir()
    source, requests = folder / "rows.csv", folder / "rows.requests.jsonl"
    made_data.apart(made_data.table, source, rows, length)
    with wire.api(bench) as served:
        wired = {"home": "journey/home", "simulate": False, "environment": served.environment}
        build = ("build", source, "--template", TEMPLATE, "--key", "sku", "--output", requests)
        yield "build", bench.ours(*build, **wired)
        yield "create --dry-run", bench.ours("create", requests, "--dry-run", **wired)
        yield "create", bench.ours("create", requests, "--name", "flat", **wired)
        yield "status", bench.ours("status", "flat", "--wait", **wired)
        yield "results (first call: download)", bench.ours("results", "flat", "--output", folder / "a.jsonl", **wired)
        yield "results to CSV", bench.ours("results", "flat", "--output", folder / "a.csv", **wired)
        joined = ("results", "flat", "--join", "--output", folder / "joined.csv")
        yield "results --join", bench.ours(*joined, **wired)
        chained = ("build", "job:flat", "--template", "Say shorter: {{ answer }}", "--output", folder / "next.jsonl")
        yield "build of job:…", bench.ours(*chained, **wired)
    simulated = {"home": "journey/simulated"}
    yield "build --simulate", bench.ours(*build, **simulated)
    yield "create --simulate", bench.ours("create", requests, "--name", "flat", **simulated)
    yield "status --wait --simulate", bench.ours("status", "flat", "--wait", **simulated)
    yield "results --join --simulate", bench.ours(*joined[:-1], folder / "simulated.csv", **simulated)
    shutil.rmtree(folder)
    shutil.rmtree(bench.folder / "simulator")
