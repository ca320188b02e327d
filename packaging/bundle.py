"""Makes an MCPB bundle: the binary of one platform, and a manifest that a desktop client installs by a click.

    python packaging/bundle.py                      builds the binary first, static where that can be had
    python packaging/bundle.py --binary FILE        takes one that is there
    python packaging/bundle.py --mcpb node_modules/.bin/mcpb     also validates and packs it
    python packaging/bundle.py --owner NAME …       also writes server.json for the registry, with the bundle's hash

Everything goes to target/bundle/. Needs only Python, cargo, and for `--mcpb` the npm package @anthropic-ai/mcpb. On Linux
the binary is static, and so runs on every distribution: linked with musl if `rustup target add` brought that target and
there is a C compiler for it (`musl-gcc`, package musl-tools, or one named in CC_<target>), else with the static library of
glibc (package libc6-dev or glibc-static).
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
NAME = "gemini-batch-mcp"
# What Node calls the systems that `platform.system()` names.
PLATFORMS = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}


def output_of(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=TOP, **options).stdout


def package():
    """What Cargo.toml says of the program."""
    metadata = json.loads(output_of("cargo", "metadata", "--no-deps", "--format-version", "1"))
    return next(found for found in metadata["packages"] if found["name"] == NAME)


def static_target():
    """The target for a static binary on this machine, and the flags that make it one."""
    if platform.system() != "Linux":
        return None, {}
    machine = platform.machine()
    target = f"{machine}-unknown-linux-musl"
    installed = shutil.which("rustup") and output_of("rustup", "target", "list", "--installed").decode().split()
    compiler = os.environ.get("CC_" + target.replace("-", "_")) or shutil.which("musl-gcc") or shutil.which(f"{machine}-linux-musl-gcc")
    if target in (installed or []) and compiler:
        return target, {}
    # The target is named so that only the program is built so, and not what runs while it is built.
    return f"{machine}-unknown-linux-gnu", {"RUSTFLAGS": "-C target-feature=+crt-static"}


def build():
    """Builds the binary, stripped; on Linux static."""
    target, flags = static_target()
    command = ["cargo", "build", "--release", "--locked", "--bin", NAME]
    if target:
        command += ["--target", target]
    subprocess.run(command, check=True, cwd=TOP, env={**os.environ, "CARGO_PROFILE_RELEASE_STRIP": "symbols", **flags})
    built = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / (target or "") / "release" / NAME
    return built.with_suffix(".exe") if platform.system() == "Windows" else built


def tools(binary):
    """The tools as the binary lists them: name, and the first sentence of what each does."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bundle", "version": "0"}}
    asked = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    server = subprocess.Popen(
        [binary, "--quiet", "--root", str(TOP)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for message in asked:
        server.stdin.write(json.dumps(message) + "\n")
    server.stdin.flush()
    # Closing its input ends it: not before it has answered.
    answers = (json.loads(line) for line in server.stdout)
    listed = next(answer["result"]["tools"] for answer in answers if answer.get("id") == 2)
    server.stdin.close()
    server.wait(timeout=20)
    return [{"name": tool["name"], "description": tool["description"].split(". ")[0]} for tool in listed]


def manifest(program, binary):
    about = package()
    return {
        "manifest_version": "0.3",
        "name": NAME,
        "display_name": "Gemini Batch",
        "version": about["version"],
        "description": about["description"],
        "author": {"name": "The gemini-batch-mcp authors"},
        "license": about["license"],
        "keywords": about["keywords"],
        "server": {
            "type": "binary",
            "entry_point": f"server/{program}",
            "mcp_config": {
                "command": "${__dirname}/server/" + program,
                "args": ["--root", "${user_config.folder}"],
                # What is not filled in counts as not set.
                "env": {"GOOGLE_API_KEY": "${user_config.api_key}"},
            },
        },
        "tools": tools(binary),
        "user_config": {
            "folder": {
                "type": "directory",
                "title": "Folder",
                "description": "Where your data files are, and where request and answer files go. Nothing else is touched.",
                "required": True,
            },
            "api_key": {
                "type": "string",
                "title": "Gemini API key",
                "description": "From https://aistudio.google.com/apikey. Without one, files can be built and checked.",
                "sensitive": True,
                "required": False,
            },
        },
        "compatibility": {"platforms": [PLATFORMS[platform.system()]]},
    }


def registry_entry(owner, bundle, version):
    """packaging/server.json for this owner, and the bundle beside the image."""
    entry = json.loads((TOP / "packaging/server.json").read_text().replace("OWNER", owner))
    file = f"https://github.com/{owner}/{NAME}/releases/download/v{version}/{bundle.name}"
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    entry["packages"].append(
        {
            "registryType": "mcpb",
            "identifier": file,
            "fileSha256": digest,
            "transport": {"type": "stdio"},
        }
    )
    return entry


def write(file, data):
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def main():
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("--binary", type=Path, help="take this binary instead of building one")
    flags.add_argument("--mcpb", help="the mcpb command, to validate and pack with")
    flags.add_argument("--owner", help="whose repository and registry name it is; needs --mcpb")
    flags.add_argument("--out", type=Path, default=TOP / "target" / "bundle", help="where to put it all")
    given = flags.parse_args()
    if given.owner and not given.mcpb:
        flags.error("--owner needs the bundle that --mcpb packs")

    binary = given.binary or build()
    folder = given.out / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "server").mkdir(parents=True)
    packed = folder / "server" / binary.name
    shutil.copy2(binary, packed)
    if given.binary and shutil.which("strip"):
        subprocess.run(["strip", packed], check=True)
    for file in ("LICENSE", "README.md"):
        shutil.copy2(TOP / file, folder)
    made = manifest(packed.name, packed)
    write(folder / "manifest.json", made)
    print(folder)
    if given.mcpb:
        machine = f"{made['compatibility']['platforms'][0]}-{platform.machine().lower()}"
        bundle = given.out / f"{NAME}-{made['version']}-{machine}.mcpb"
        subprocess.run([given.mcpb, "validate", folder / "manifest.json"], check=True)
        subprocess.run([given.mcpb, "pack", folder, bundle], check=True)
        print(bundle)
        if given.owner:
            write(given.out / "server.json", registry_entry(given.owner, bundle, made["version"]))
            print(given.out / "server.json")


if __name__ == "__main__":
    sys.exit(main())
