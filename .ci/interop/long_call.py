"""A call that takes longer than five minutes, which is how long idle sessions and streams live in many places.

    python long_call.py BINARY NGINX

The official Python SDK waits for a job that will not end, over every transport at once and through the proxy that README
shows, while other things go on. Prints one line a check; exits with 1 if any failed.
"""

import asyncio
import contextlib
import pathlib
import ssl
import subprocess
import sys
import time

import httpx2
import mcp
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import proxy
import story

# What the call takes, and how long a client may hear nothing of it.
SECONDS = 320
SILENCE = 10
# So many take a quarter of an hour.
REQUESTS = 3_000
TOKEN = "a-token-that-is-handed-out-to-clients"


@contextlib.contextmanager
def slow_api(binary, folder):
    """A simulator whose jobs take hours; yields its address."""
    command = [binary, "simulate", "--port", "0", "--pace", "realistic", "--dir", f"{folder}/simulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            yield simulator.stdout.readline().strip()
        finally:
            simulator.terminate()


async def wait_long(label, transport):
    """Waits for a job, hears of it all the while, and uses the same session afterwards."""
    begun, heard = time.monotonic(), []

    async def progress(value, _total, _message):
        heard.append((time.monotonic(), value))

    async with transport as streams, mcp.ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        arguments = {"wait": True, "timeout_seconds": SECONDS}
        waited = await session.call_tool("check_status", arguments, read_timeout_seconds=SECONDS + 60, progress_callback=progress)
        assert not waited.is_error and waited.structured_content["all_ended"] is False, waited
        assert time.monotonic() - begun >= SECONDS, f"{label}: it ended early"
        values = [value for _moment, value in heard]
        assert values == sorted(set(values)), f"{label}: {values}"
        moments = [begun, *(moment for moment, _value in heard), time.monotonic()]
        longest = max(later - earlier for earlier, later in zip(moments, moments[1:]))
        assert longest < SILENCE + 3, f"{label}: nothing was heard for {longest:.0f} s"
        listed = await session.call_tool("list_batches", {})
        assert len(listed.structured_content["jobs"]) == 1, listed
    return label


def directly(binary, folder, env, address):
    stdio = mcp.StdioServerParameters(command=binary, args=[], env=env, cwd=folder)
    return {
        "stdio": stdio_client(stdio),
        "/mcp": streamable_http_client(f"{address}/mcp"),
        "/sse": sse_client(f"{address}/sse"),
    }


def proxied(address, certificate):
    _site, _settings, host = proxy.shown()
    trusted = ssl.create_default_context(cafile=certificate)
    known = {"Host": host, "Authorization": f"Bearer {TOKEN}"}

    def client(headers=None, timeout=None, auth=None):
        # The SDK's own: it waits for the end of a stream as long as it takes.
        patience = timeout or httpx2.Timeout(30, read=300)
        return httpx2.AsyncClient(headers=(headers or {}) | known, timeout=patience, auth=auth, verify=trusted)

    return {
        "/mcp behind nginx": streamable_http_client(f"{address}/mcp", http_client=client()),
        "/sse behind nginx": sse_client(f"{address}/sse", httpx_client_factory=client),
    }


async def wait_everywhere(ways):
    await asyncio.gather(*(wait_long(label, transport) for label, transport in ways.items()))


def run(binary, nginx):
    with contextlib.ExitStack() as stack:
        folder, env = stack.enter_context(story.stage())
        api = stack.enter_context(slow_api(binary, folder))
        env = {**env, "GOOGLE_API_KEY": "a-key-for-tests", "GOOGLE_GEMINI_BASE_URL": api}
        requests = pathlib.Path(folder) / "r.jsonl"
        line = '{{"key": "{}", "request": {{"contents": [{{"parts": [{{"text": "Hello"}}]}}]}}}}\n'
        requests.write_text("".join(map(line.format, range(REQUESTS))), encoding="utf-8")
        subprocess.run([binary, "create", "r.jsonl", "--quiet"], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
        _site, serving, _host = proxy.shown()
        open_server = stack.enter_context(story.http_server(binary, folder, env, settings=()))
        with_token = {**env, "GEMINI_BATCH_HTTP_TOKEN": TOKEN}
        behind = stack.enter_context(story.http_server(binary, folder, with_token, settings=(), serving=serving))
        front = stack.enter_context(proxy.proxy(nginx, f"{folder}/nginx", behind))
        ways = {**directly(binary, folder, env, open_server), **proxied(*front)}
        return story.report(f"a call of {SECONDS} s at once over {', '.join(ways)}", lambda: asyncio.run(wait_everywhere(ways)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(run(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]))
