"""Checks what the crate is built of: licences, banned crates, sources. Reads Cargo.lock by `cargo metadata`.

    python licences.py

Prints one line a violation; exits with 1 if there is any.
"""

import json
import re
import subprocess
import sys

# All permissive, or, as MPL-2.0, without a demand on the code that uses it.
ALLOWED = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
BANNED = {
    "aws-lc-rs": "needs cmake; ring is the one provider",
    "native-tls": "rustls is the one TLS",
    "openssl-sys": "rustls is the one TLS",
    "serde_yaml": "not maintained",
}


def is_allowed(expression):
    """Whether an SPDX expression can be met; `A/B` is the old way to write `A OR B`."""
    words = re.findall(r"[()]|[\w.+-]+", re.sub(r" WITH [\w.-]+", "", expression.replace("/", " OR ")))
    terms = [word.lower() if word in ("AND", "OR", "(", ")") else str(word in ALLOWED) for word in words]
    return bool(terms) and eval(" ".join(terms))  # only True, False, and, or and brackets are left


def violations(package):
    name = f"{package['name']} {package['version']}"
    if not is_allowed(package["license"] or ""):
        yield f"{name}: the licence {package['license']!r} is not on the list"
    if reason := BANNED.get(package["name"]):
        yield f"{name}: banned: {reason}"
    if package["source"] and not package["source"].startswith("registry+"):
        yield f"{name}: not from the registry: {package['source']}"


def main():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["packages"]
    found = [violation for package in packages for violation in violations(package)]
    print(*found, f"{len(packages)} packages looked at", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
