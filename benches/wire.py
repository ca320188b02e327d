"""Uploads and downloads, over loopback, against the simulator in a process of its own.

Plain HTTP: what TLS costs is not measured here.
"""

import json
import subprocess
import urllib.request
from contextlib import contextmanager

import made_data
from processes import Cost, in_turn, peak_kb, run

MEGABYTE = 1_000_000


class Api:
    """A running simulator: its address and its folder."""

    def __init__(self, bench):
        self.folder = bench.folder / "simulator"
        command = [bench.binary, "simulate", "--pace", "instant", "--dir", self.folder]
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = self.process.stdout.readline().strip()
        self.environment = {"GOOGLE_GEMINI_BASE_URL": self.url, "GOOGLE_API_KEY": "any", "NO_PROXY": "*"}

    def batches(self):
        return set((self.folder / "batches").iterdir())

    def peak_mb(self):
        return peak_kb(self.process.pid) / 1024


@contextmanager
def api(bench):
    """A simulator that runs for as long as it is needed."""
    served = Api(bench)
    try:
        yield served
    finally:
        served.process.terminate()
        served.process.wait()


def handle(bench, environment):
    """The only job of this home."""
    command = [bench.binary, "--home", bench.folder / "wire", "--json", "list", "--local"]
    listed = subprocess.run([str(part) for part in command], capture_output=True, check=True)
    return json.loads(listed.stdout)["jobs"][0]["job"]


def finished_job(bench, rows, template):
    """A job over these rows whose results are home; gives its handle and the file of its result lines."""
    requests = bench.folder / "job.requests.jsonl"
    wired = {"home": "wire", "simulate": False}
    bench.ours("build", rows, "--template", template, "--key", "sku", "--output", requests, **wired)
    with api(bench) as served:
        wired["environment"] = served.environment
        bench.ours("create", requests, **wired)
        job = handle(bench, served.environment)
        bench.ours("status", job, "--wait", **wired)
        bench.ours("results", job, "--output", bench.folder / "first.csv", **wired)
    return job, bench.folder / "wire" / "jobs" / job / "results.jsonl"


def measure(bench):
    """What bringing a large file there and back takes, beyond checking and writing it."""
    requests = bench.folder / "large.requests.jsonl"
    made_data.apart(made_data.media_requests, requests, bench.large)
    with api(bench) as served:
        upload(bench, served, requests)
        download(bench, served)


def upload(bench, served, requests):
    wired = {"home": "wire-large", "simulate": False, "environment": served.environment}
    contenders = {
        "create": lambda: bench.ours("create", requests, "--new-run", **wired),
        "create --dry-run": lambda: bench.ours("create", requests, "--dry-run", **wired),
        "curl": lambda: curl_create(bench, served, requests),
    }
    if bench.has("google.genai"):
        contenders["google-genai"] = bench.peer("sdk_upload", served.url, requests)
        contenders["google-genai, imported only"] = bench.peer("sdk_imported")
    costs = in_turn(contenders, bench.rounds)
    rows = {"upload: create less create --dry-run": less(costs["create"], costs["create --dry-run"])}
    rows["curl -T and a create by curl"] = costs["curl"]
    if "google-genai" in costs:
        rows["google-genai, less its import"] = less(costs["google-genai"], costs["google-genai, imported only"])
    bench.add("upload", f"{requests.stat().st_size / MEGABYTE:,.0f} MB, 1 MB lines", rows)


def less(whole, part):
    """The cost of what one run does and the other does not; its peak is that of the whole."""
    return Cost(whole.cpu - part.cpu, whole.wall - part.wall, whole.peak_kb)


def curl_create(bench, served, path):
    """The same job by hand: without a look whether it is there, and without a note of it."""
    reply = bench.folder / "uploaded.json"
    uploaded = curl_upload(served, path, reply)
    batch = {"display_name": "by-hand", "input_config": {"file_name": json.loads(reply.read_text())["file"]["name"]}}
    url = f"{served.url}/v1beta/models/gemini-3-flash-preview:batchGenerateContent"
    headers = ["-H", "x-goog-api-key: any", "-H", "Content-Type: application/json"]
    created = run(["curl", "-sf", *headers, "-d", json.dumps({"batch": batch}), url])
    return Cost(uploaded.cpu + created.cpu, uploaded.wall + created.wall, max(uploaded.peak_kb, created.peak_kb))


def curl_upload(served, path, reply):
    start = urllib.request.Request(
        f"{served.url}/upload/v1beta/files",
        data=b"{}",
        headers={
            "x-goog-api-key": "any",
            "Content-Type": "application/json",
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(path.stat().st_size),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        },
    )
    with urllib.request.urlopen(start) as answer:
        url = answer.headers["x-goog-upload-url"]
    headers = ["X-Goog-Upload-Command: upload, finalize", "X-Goog-Upload-Offset: 0", "Expect:"]
    options = [option for header in headers for option in ("-H", header)]
    with reply.open("w") as written:
        return run(["curl", "-sf", "-X", "POST", "-T", path, *options, url], stdout=written)


def download(bench, served):
    """Each round brings the same result file home again, with a megabyte of text in each line."""
    requests = bench.folder / "asked.requests.jsonl"
    made_data.apart(made_data.text_requests, requests, bench.large, 300)
    wired = {"home": "wire-results", "simulate": False, "environment": served.environment}
    before = served.batches()
    created = bench.folder / "created.json"
    with created.open("w") as reply:
        command = [bench.binary, "--home", bench.folder / wired["home"], "--json", "create", requests]
        run(command, served.environment, stdout=reply)
    job = json.loads(created.read_text())["job"]
    (batch,) = served.batches() - before
    made_data.apart(made_data.results, batch / "results.jsonl", "row-{:07}", bench.large, MEGABYTE)
    size = (batch / "results.jsonl").stat().st_size
    bench.ours("status", job, "--wait", **wired)
    kept = bench.folder / wired["home"] / "jobs" / job / "results.jsonl"
    output = bench.folder / "brought.csv"

    def brought(again):
        output.unlink(missing_ok=True)
        if again:
            kept.unlink(missing_ok=True)
        return bench.ours("results", job, "--output", output, expected=(0, 4), **wired)

    url = f"{served.url}/download/v1beta/files/batch-{batch.name}:download?alt=media"
    contenders = {
        "results, first call": lambda: brought(True),
        "results, second call": lambda: brought(False),
        "curl": ["curl", "-sf", "-H", "x-goog-api-key: any", "-o", bench.folder / "curl.jsonl", url],
    }
    costs = in_turn(contenders, bench.rounds)
    rows = {"download: first results less second": less(costs["results, first call"], costs["results, second call"])}
    rows["curl -o"] = costs["curl"]
    bench.add("download", f"{size / MEGABYTE:,.0f} MB", rows)
