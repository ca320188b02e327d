"""Has real agents do the whole job with the server, each set up as README says, with a scripted model in place of theirs.

    python agents.py BINARY NODE_FOLDER

NODE_FOLDER is where package.json was installed. What the model does is what the server's replies say comes next
(scripted_model.py). Prints one line an agent; exits with 1 if any failed.
"""

import functools
import json
import pathlib
import re

import clients
import scripted_model
import story

PATIENCE = 180
README = (story.HERE.parents[1] / "README.md").read_text(encoding="utf-8")
TASK = "What is it like on each of the planets in planets.csv?"


def from_readme(before, language, arguments="[]"):
    """The block that README shows for a client, here with the simulator."""
    block = re.search(rf"{before}:\n\n```{language}\n(.*?)```", README, re.DOTALL).group(1)
    assert block.count(arguments) == 1, block
    simulating = [*json.loads(arguments), "--simulate"]
    return block.replace(arguments, json.dumps(simulating))


class ClaudeCode:
    files = {
        "project/.mcp.json": from_readme("reads that shape", "json"),
        "home/.claude/settings.json": json.dumps({"enableAllProjectMcpServers": True, "permissions": {"allow": ["mcp__gemini-batch"]}}),
    }
    command = ["claude", "-p", TASK]
    # Otherwise it shows its model no tools before they are searched for, and this one searches for none.
    own = {"ANTHROPIC_API_KEY": "none", "ENABLE_TOOL_SEARCH": "false", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    address = "ANTHROPIC_BASE_URL"


class GeminiCli:
    files = {
        "project/.gemini/settings.json": from_readme("Gemini CLI", "json"),
        "home/.gemini/settings.json": json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}),
        "home/.gemini/trustedFolders.json": json.dumps({"$PROJECT": "TRUST_FOLDER"}),
    }
    command = ["gemini", "--yolo", "--model", "gemini-2.5-flash", "--prompt", TASK]
    own = {"GEMINI_API_KEY": "none"}
    address = "GOOGLE_GEMINI_BASE_URL"


class Codex:
    files = {"home/.codex/config.toml": from_readme("Codex", "toml")}
    provider = 'model_providers.scripted={name="scripted", base_url="$ADDRESS/v1", wire_api="responses"}'
    command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
               "-c", 'model_provider="scripted"', "-c", 'model="scripted"', "-c", provider, TASK]
    own = {}
    address = None


class OpenCode:
    provider = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": "$ADDRESS/v1", "apiKey": "none"}, "models": {"scripted": {}}}
    files = {
        "project/opencode.json": from_readme("opencode", "json", '["gemini-batch-mcp"]'),
        "home/.config/opencode/opencode.json": json.dumps({"model": "scripted/scripted", "provider": {"scripted": provider}}),
    }
    command = ["opencode", "run", TASK]
    own = {}
    address = None


AGENTS = [ClaudeCode, GeminiCli, Codex, OpenCode]


def run_agent(agent, folder, binary, node_folder, address):
    """What the agent prints."""
    def filled_in(text):
        return text.replace("$ADDRESS", address).replace("$PROJECT", str(folder / "project"))

    for name, text in agent.files.items():
        clients.put(folder / name, filled_in(text))
    own = {**agent.own, **({agent.address: address} if agent.address else {})}
    return clients.run(list(map(filled_in, agent.command)), folder, binary, node_folder, own, PATIENCE)


def check(agent, binary, node_folder):
    model = scripted_model.ScriptedModel()
    with story.stage() as (folder, _), scripted_model.serving(model) as address:
        folder = pathlib.Path(folder).resolve()
        (folder / "project").mkdir()
        (folder / "planets.csv").rename(folder / "project/planets.csv")
        said = run_agent(agent, folder, binary, node_folder, address)
    tools = [tool for tool, _arguments in model.calls]
    told = "\n".join([said, *map(str, model.calls), *model.replies[-1:]])
    assert sorted(model.offered) == sorted(story.TOOLS), f"{sorted(model.offered)}\n{told}"
    assert all(schema["properties"] for schema in model.offered.values()), model.offered
    assert list(dict.fromkeys(tools)) == ["build_jsonl", "create_batch", "check_status", "get_results"], told
    # Nobody is there to choose a model: an agent that says it could ask is told how to go on without.
    assert tools.count("create_batch") <= 2 and tools.count("get_results") == 1, told
    assert re.search(rf"{story.ROWS} answered|\"answered\":\s*{story.ROWS}\b", model.replies[-1]), told


if __name__ == "__main__":
    clients.main(__doc__, {f"{agent.__name__} does the job": functools.partial(check, agent) for agent in AGENTS})
