"""Drives the MCP server with the MCP Inspector: every transport, every era of the protocol.

    python inspector.py BINARY NODE_FOLDER

NODE_FOLDER is where package.json was installed. The Inspector validates schemas and structured
content as strict clients do, and starts anew for every call. Prints one line a check; exits with 1 if
any failed.
"""

import json
import pathlib
import subprocess
import sys

import story

PATIENCE = 120
ERAS = ["legacy", "auto", "modern"]
# Calls of one run under load.
LOAD = 200


class Inspector:
    """One way to reach the server."""

    def __init__(self, node_folder, era, folder, env, target):
        bin_folder = pathlib.Path(node_folder).resolve() / "node_modules" / ".bin"
        # The file itself: the link in .bin would start whichever Node is first in the PATH.
        program = [str(bin_folder / "node"), str((bin_folder / "mcp-inspector").resolve()), "--cli"]
        self.options = program + ["--protocol-era", era, "--format", "json"]
        self.folder, self.env, self.target = folder, env, target

    def ask(self, method, *arguments):
        """The exit code, the answer, and what was said beside it."""
        command = [*self.options, "--method", method, *arguments, *self.target]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, text=True
        )
        return done.returncode, json.loads(done.stdout)["result"] if done.stdout else None, done.stderr

    def call(self, tool, arguments):
        return self.ask("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))


def tell_story(inspector):
    code, answer, said = inspector.ask("tools/list", "--strict")
    assert code == 0 and not said, (code, said)
    assert [tool["name"] for tool in answer["tools"]] == story.TOOLS, answer
    job = None
    for step in story.STEPS:
        code, result, said = inspector.call(step["tool"], story.arguments(step, job))
        assert code == 0 and not said, (step, code, said)
        story.check(step["tool"], result["structuredContent"])
        job = result["structuredContent"].get("job", job)


def read_and_choose(inspector):
    code, listed, said = inspector.ask("resources/list")
    assert code == 0 and listed["resources"][0]["uri"] == "batch://jobs", (code, listed, said)
    code, read, said = inspector.ask("resources/read", "--uri", "batch://models")
    assert code == 0 and "gemini-3-flash-preview" in read["contents"][0]["text"], (code, read, said)
    code, listed, said = inspector.ask("prompts/list")
    assert code == 0 and [prompt["name"] for prompt in listed["prompts"]] == story.PROMPTS, (code, listed, said)
    code, prompt, said = inspector.ask("prompts/get", "--prompt-name", "monitor_jobs")
    assert code == 0 and "check_status" in prompt["messages"][0]["content"]["text"], (code, prompt, said)


def make_mistakes(inspector):
    code, result, said = inspector.call("build_jsonl", {"sauce": "planets.csv"})
    assert code != 0 and result and result["isError"] and "sauce" in result["content"][0]["text"], (code, result, said)
    code, result, said = inspector.call("brew_coffee", {})
    assert code != 0 and "brew_coffee" in said, (code, result, said)


def stand_load(inspector):
    load = ["--load", "--load-requests", str(LOAD), "--load-concurrency", "10"]
    code, answer, said = inspector.ask("tools/call", "--tool-name", "list_batches", "--tool-args-json", "{}", *load)
    assert code == 0 and (answer["requests"], answer["ok"]) == (LOAD, LOAD), (code, answer, said)


def check_connection(binary, node_folder, transport, era):
    with story.stage() as (folder, env), story.http_server(binary, folder, env) as address:
        target = [binary, "--simulate"] if transport == "stdio" else [f"{address}{transport}"]
        inspector = Inspector(node_folder, era, folder, env, target)
        tell_story(inspector)
        make_mistakes(inspector)
        read_and_choose(inspector)
        stand_load(inspector)


def run(binary, node_folder):
    failed = 0
    for transport in ("stdio", "/mcp", "/sse"):
        for era in ERAS:
            failed += story.report(f"{transport}, {era}", lambda: check_connection(binary, node_folder, transport, era))
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(run(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]))
