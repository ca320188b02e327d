"""200 tool calls at once: how long each waits for its answer, over one pipe and over HTTP.

Beside ours stand servers of the Python and the TypeScript SDK whose one tool does nothing; ours reads its ledger.
"""

import asyncio
import http.client
import json
import os
import socket
import statistics
import subprocess
import time
from pathlib import Path

from processes import Failed, Server

HERE = Path(__file__).resolve().parent

AT_ONCE = 200
ROUNDS = 5
VERSION = "2025-06-18"


def measure(bench):
    """Prints the table."""
    print(f"\n| Server | Over | p50 of {AT_ONCE} calls at once | p99 | all of them |\n|---|---|---|---|---|")
    for label, (stdio, served, call) in contenders(bench).items():
        for over, rounds in (("stdio, one pipe", pipe(stdio, call)), ("HTTP /mcp", over_http(served, call))):
            waits = sorted(wait for round_ in rounds for wait in round_)
            whole = statistics.median(max(round_) for round_ in rounds)
            p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
            print(f"| {label} | {over} | {p50 * 1000:.1f} ms | {p99 * 1000:.1f} ms | {whole * 1000:.1f} ms |")


def contenders(bench):
    """For each: the command for stdio, the one for HTTP at a port, and the call."""
    ours = [bench.binary, "--simulate", "--home", bench.folder / "load"]
    nothing = ("list_jobs", {})
    all_ = {
        "gemini-batch-mcp": (
            ours,
            lambda port: [*ours, "serve", "--http", f"127.0.0.1:{port}"],
            ("list_batches", {"remote": False}),
        )
    }
    if bench.has("mcp"):
        all_["Python mcp"] = (bench.peer("mcp_server"), lambda port: bench.peer("mcp_server", port), nothing)
    if bench.node_modules:
        script = bench.folder / "peer.mjs"
        # Packages are looked for beside the script.
        script.write_text((HERE / "peer.mjs").read_text())
        if not (link := bench.folder / "node_modules").exists():
            link.symlink_to(bench.node_modules.resolve())
        local = bench.node_modules / ".bin/node"
        node = local if local.exists() else "node"
        all_["TypeScript SDK"] = ([node, script], lambda port: [node, script, port], nothing)
    return all_


def request(number, call):
    name, arguments = call
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def pipe(command, call):
    """All calls are written at once; each waits until its answer is read."""
    server = Server(command)
    server.greet()
    rounds = []
    for round_ in range(ROUNDS):
        first = 1000 * (round_ + 1)
        start = time.perf_counter()
        server.child.stdin.write(
            b"".join(json.dumps(request(first + n, call)).encode() + b"\n" for n in range(AT_ONCE))
        )
        server.child.stdin.flush()
        waits, open_ = [], set(range(first, first + AT_ONCE))
        while open_:
            answer = json.loads(server.child.stdout.readline())
            if answer.get("id") in open_:
                refuse_failure(answer)
                open_.remove(answer["id"])
                waits.append(time.perf_counter() - start)
        rounds.append(waits)
    server.stop()
    return rounds


def over_http(served, call):
    """Each call has a connection of its own, opened before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(part) for part in served(port)]
    child = subprocess.Popen(command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        session = greet(port)
        return [asyncio.run(at_once(port, session, call)) for _ in range(ROUNDS)]
    finally:
        child.terminate()
        child.wait()


def headers(session):
    named = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    named["MCP-Protocol-Version"] = VERSION
    return {**named, "Mcp-Session-Id": session} if session else named


def greet(port):
    """Waits until the server is there; gives the session, if there is one."""
    client = {"name": "measure", "version": "1"}
    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client}
    until = time.monotonic() + 30
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            connection.request("POST", "/mcp", json.dumps(body), headers(None))
            answer = connection.getresponse()
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    answer.read()
    session = answer.headers.get("Mcp-Session-Id")
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    connection.request("POST", "/mcp", json.dumps(body), headers(session))
    connection.getresponse().read()
    return session


async def at_once(port, session, call):
    pairs = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20) for _ in range(AT_ONCE)]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers(session).items())
    start = time.perf_counter()

    async def one(number, reader, writer):
        body = json.dumps(request(number, call))
        lines = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
        writer.write(lines.encode())
        while line := await reader.readline():
            text = line.strip().removeprefix(b"data:").strip()
            if text.startswith(b"{") and (answer := json.loads(text)).get("id") == number:
                refuse_failure(answer)
                return time.perf_counter() - start
            if text.startswith(b"content-length:") or text.startswith(b"Content-Length:"):
                length = int(text.split(b":")[1])
                while (await reader.readline()).strip():
                    pass
                refuse_failure(json.loads(await reader.readexactly(length)))
                return time.perf_counter() - start
        raise Failed("the connection ended before the answer")

    waits = await asyncio.gather(*(one(n + 2, *pair) for n, pair in enumerate(pairs)))
    for _, writer in pairs:
        writer.close()
    return waits


def refuse_failure(answer):
    if "result" not in answer or answer["result"].get("isError"):
        raise Failed(f"a call failed: {answer}")
