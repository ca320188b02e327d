"""Runs whole processes and says what they cost: processor time, wall time, peak memory."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Cost:
    """What one run of a process took."""

    cpu: float
    wall: float
    peak_kb: int

    @property
    def peak_mb(self):
        return self.peak_kb / 1024


def median(costs):
    """The median of each figure by itself."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("cpu", "wall", "peak_kb")))


class Failed(Exception):
    """A process did not end as it should have."""


def run(command, environment=None, expected=(0,), stdout=None):
    """Runs a command to its end and measures it."""
    errors = tempfile.TemporaryFile()
    before = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=errors,
    )
    watched = watch(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - before
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in expected:
        errors.seek(0)
        raise Failed(f"{command}: exit code {child.returncode}: {errors.read().decode(errors='replace')[-2000:]}")
    # A child starts as a copy of this process, and wait4 counts that copy: below it only watching tells.
    peak = usage.ru_maxrss if usage.ru_maxrss > own_peak_kb() + 1024 else watched()
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)


def watch(pid):
    """Looks at a process every few milliseconds; the function it returns gives the highest peak seen."""
    seen = [0]

    def look():
        while (peak := peak_kb(pid)) is not None:
            seen[0] = max(seen[0], peak)
            time.sleep(0.004)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def result():
        thread.join()
        return seen[0]

    return result


def status_kb(pid, field):
    """A line of /proc/PID/status in kilobytes; none when the process has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def peak_kb(pid):
    return status_kb(pid, "VmHWM")


def own_peak_kb():
    return peak_kb("self") or 0


def in_turn(commands, rounds):
    """Runs labelled commands A B A B and gives the median cost of each.

    A contender is a command, or a function that runs one and gives its cost.
    """
    costs = {label: [] for label in commands}
    for number in range(rounds):
        for label, command in commands.items():
            print(f"  round {number + 1} of {rounds}: {label}", file=sys.stderr)
            # Whoever waits for the disk is not to wait for what others wrote before.
            os.sync()
            costs[label].append(command() if callable(command) else run(command))
    return {label: median(each) for label, each in costs.items()}


class Server:
    """A process that speaks JSON-RPC by lines over its standard input and output."""

    def __init__(self, command, environment=None):
        self.started = time.perf_counter()
        self.child = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def call(self, number, method, params):
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            line = self.child.stdout.readline()
            if not line:
                raise Failed(f"the server ended before it answered {method}")
            answer = json.loads(line)
            if answer.get("id") == number:
                if "result" not in answer:
                    raise Failed(f"{method}: {answer}")
                return answer["result"]

    def send(self, message):
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def greet(self):
        """Initialises and lists the tools; gives the seconds since the start."""
        client = {"name": "measure", "version": "1"}
        self.call(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools = self.call(2, "tools/list", {})["tools"]
        assert tools
        return time.perf_counter() - self.started

    def idle_kb(self):
        time.sleep(0.2)
        return status_kb(self.child.pid, "VmRSS")

    def stop(self):
        self.child.stdin.close()
        self.child.wait()
