"""Has Claude Code and Gemini CLI check the health of the server, configured by mcp.json as it stands.

    python health_checks.py BINARY NODE_FOLDER

NODE_FOLDER is where package.json was installed. Neither client has an account here, and each finds a home that is
removed afterwards. Prints one line a check; exits with 1 if any failed.
"""

import functools
import json
import pathlib

import clients
import story

PATIENCE = 120
# Where each client reads the servers of a project.
CLIENTS = {"claude": ".mcp.json", "gemini": ".gemini/settings.json"}


def servers(address):
    """Those of mcp.json, and the same one over HTTP."""
    config = json.loads((story.HERE.parents[1] / "mcp.json").read_text(encoding="utf-8"))
    config["mcpServers"]["over-http"] = {"type": "http", "url": f"{address}/mcp"}
    config["mcpServers"]["over-sse"] = {"type": "sse", "url": f"{address}/sse"}
    return config


def write(file, data):
    clients.put(file, json.dumps(data))


def trust(home, project):
    """What a user is asked once: whether a project may start its servers."""
    write(home / ".claude/settings.json", {"enableAllProjectMcpServers": True})
    write(home / ".gemini/trustedFolders.json", {str(project): "TRUST_FOLDER"})


def ask(client, folder, binary, node_folder):
    """What the client prints. It exits with 0 whatever became of the servers."""
    own = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return clients.run([client, "mcp", "list"], folder, binary, node_folder, own, PATIENCE)


def check(client, binary, node_folder):
    with story.stage() as (folder, env), story.http_server(binary, folder, env) as address:
        folder, config = pathlib.Path(folder).resolve(), servers(address)
        write(folder / "project" / CLIENTS[client], config)
        trust(folder / "home", folder / "project")
        said = ask(client, folder, binary, node_folder)
        for name in config["mcpServers"]:
            lines = [line for line in said.splitlines() if f"{name}: " in line]
            assert len(lines) == 1 and lines[0].strip().endswith(("✔ Connected", "- Connected")), said


if __name__ == "__main__":
    clients.main(__doc__, {f"{client} mcp list": functools.partial(check, client) for client in CLIENTS})
