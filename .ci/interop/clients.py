"""Real clients, from npm: each finds a home of its own, and the server as its settings name it, in the PATH."""

import pathlib
import subprocess


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
