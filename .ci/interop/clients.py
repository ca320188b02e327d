"""Real clients, from npm: each finds a home of its own, and the server as its settings name it, in the PATH."""

import pathlib
import subprocess
import sys

import story


def put(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def run(command, folder, binary, node_folder, own, patience):
    """What the client prints that is started in the folder `project`, with `own` in its environment."""
    (folder / "bin").mkdir()
    (folder / "bin/gemini-batch-mcp").symlink_to(binary)
    programs = pathlib.Path(node_folder).resolve() / "node_modules/.bin"
    env = {"HOME": str(folder / "home"), "PATH": f"{folder}/bin:{programs}:/usr/bin:/bin", **own}
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=folder / "project",
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=patience,
        check=False,
        text=True,
    )
    return done.stdout + done.stderr


def main(doc, checks):
    """Makes each check with the binary and the folder that the command line names, and exits with 1 if any failed."""
    if len(sys.argv) != 3:
        sys.exit(doc)
    binary, node_folder = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    failed = [story.report(label, lambda: check(binary, node_folder)) for label, check in checks.items()]
    sys.exit(1 if any(failed) else 0)
