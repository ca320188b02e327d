"""The line for status bars, beside a process that does nothing: clients ask for it several times a second."""

import json
import resource
import sqlite3
import statistics
import subprocess
import time
from datetime import datetime, timedelta, timezone

JOBS = 10_000
ROUNDS = 200
# What Claude Code hands over, about.
GIVEN = json.dumps({"session_id": "x" * 36, "workspace": {"current_dir": "/data"}, "cost": {"total_cost_usd": 1.5}})


def measure(bench):
    """Prints a row for an empty home, one for 10,000 jobs, and one for `true`."""
    homes = {"no ledger": bench.folder / "nobody", f"{JOBS:,} jobs".replace(",", " "): filled(bench)}
    commands = {name: [bench.binary, "--home", home, "statusline"] for name, home in homes.items()}
    times = {name: [] for name in ["(true)", *commands]}
    cpu = dict.fromkeys(times, 0.0)
    for _ in range(ROUNDS):
        for name, command in [("(true)", ["true"]), *commands.items()]:
            start, before = time.perf_counter(), cpu_of_children()
            subprocess.run([str(part) for part in command], input=GIVEN, text=True, stdout=subprocess.DEVNULL, check=True)
            times[name].append((time.perf_counter() - start) * 1000)
            cpu[name] += cpu_of_children() - before
    print("\n| statusline, a whole process | CPU, ms | p50, ms | p99, ms |\n|---|---|---|---|")
    for name, taken in times.items():
        p99 = sorted(taken)[ROUNDS * 99 // 100]
        print(f"| {name} | {cpu[name] / ROUNDS * 1000:.1f} | {statistics.median(taken):.1f} | {p99:.1f} |")


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def filled(bench):
    """A ledger with a hundred running jobs, a hundred that ended and nobody was told of, and old ones."""
    home = bench.folder / "bar"
    bench.ours("list", "--local", home="bar", simulate=False)
    ledger = sqlite3.connect(home / "ledger.sqlite3")
    now = datetime.now(timezone.utc)
    for number in range(JOBS):
        handle = f"products-{number:012x}"
        state = {0: "RUNNING", 1: "FAILED"}.get(number % 100, "SUCCEEDED")
        at = (now - timedelta(minutes=5 * number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        collected = at if state == "SUCCEEDED" else None
        ledger.execute(
            "INSERT INTO jobs (handle, hash, content_hash, run, model, kind, requests, origin, high_usd, state, created_at, "
            "collected_at) VALUES (?, ?, ?, 1, 'gemini-3-flash-preview', 'generate', 40000, 'created', 4.9, ?, ?, ?)",
            (handle, handle[-12:], f"{number:064x}", f"JOB_STATE_{state}", at, collected),
        )
        ledger.execute(
            "INSERT INTO parts (handle, part, display_name, requests, high_usd, step, step_at, state, sent_at, ended_at) "
            "VALUES (?, 1, ?, 40000, 4.9, 'created', ?, ?, ?, ?)",
            (handle, handle, at, f"JOB_STATE_{state}", at, at),
        )
    ledger.commit()
    ledger.close()
    return home
