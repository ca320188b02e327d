"""What every client is taken through: one job, from a data file to its answers.

The calls are in story.json, so that clients in other languages make the same ones; what has to hold
of each reply is here.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import traceback

HERE = pathlib.Path(__file__).resolve().parent
STEPS = json.loads((HERE / "story.json").read_text(encoding="utf-8"))
TOOLS = ["build_jsonl", "create_batch", "check_status", "get_results", "retry_batch", "list_batches", "cancel_batch", "delete_batch"]
PROMPTS = ["generate_many", "enrich_dataset", "monitor_jobs", "run_pipeline", "retry_failures"]
ROWS = 6


def arguments(step, job):
    """The step's arguments, about this job."""
    return json.loads(json.dumps(step["arguments"]).replace("$JOB", job or ""))


def check(tool, data):
    """What the structured content of a step's reply has to say."""
    if tool == "build_jsonl":
        assert data["requests"] == ROWS and len(data["first_requests"]) >= 1, data
    elif tool == "create_batch":
        assert data["submission"] in ("created", "found") and data["requests"] == ROWS, data
    elif tool == "check_status":
        assert data["all_ended"] and data["jobs"][0]["state"] == "JOB_STATE_SUCCEEDED", data
    elif tool == "get_results":
        assert data["outcomes"]["answered"] == ROWS and data["usage"]["output_tokens"] > 0, data
        lines = pathlib.Path(data["path"]).read_text(encoding="utf-8").splitlines()
        assert len(lines) == ROWS + 1 and lines[0].startswith("name,moons,"), lines


@contextlib.contextmanager
def stage():
    """A folder with the data file in it, and the environment of a server that works there."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "planets.csv", folder)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GEMINI_", "GOOGLE_"))}
        home = str(pathlib.Path(folder) / "home")
        # A client that asks its user is to ask before every job.
        yield folder, {**env, "HOME": folder, "GEMINI_BATCH_HOME": home, "GEMINI_BATCH_CONFIRM_ABOVE_USD": "0"}


@contextlib.contextmanager
def http_server(binary, folder, env, settings=("--simulate",), serving=()):
    """A server on loopback; yields its address without a path."""
    command = [binary, *settings, "serve", "--http", "127.0.0.1:0", *serving]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            assert "http://" in line, f"no address in {line!r}"
            yield "http://" + line.split("http://")[1].split("/")[0]
        finally:
            server.terminate()
            log = server.stderr.read()
        assert server.wait(timeout=20) == 0 and "ERROR" not in log and "panicked" not in log, log


def report(label, check):
    """Runs one check and prints what became of it; whether it failed."""
    try:
        check()
        print(f"ok      {label}", flush=True)
    except Exception as failure:  # pylint: disable=broad-except
        # Task groups wrap what went wrong in what went on around it.
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        print(f"FAILED  {label}", *traceback.format_exception(failure), sep="\n", flush=True)
        return True
    return False
