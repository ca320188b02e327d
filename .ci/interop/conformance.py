"""Runs the official conformance suite of MCP against the server.

    python conformance.py BINARY FIXTURES_BINARY NODE_FOLDER

BINARY is as released. FIXTURES_BINARY has what the suite calls beside it (a debug build with the feature
`_conformance`). NODE_FOLDER is where package.json was installed. Prints one line a check; exits with 1 if any failed.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import story

PATIENCE = 300
BASELINE = story.HERE / "conformance-baseline.yml"
# What the suite can ask of any server.
OF_ANY_SERVER = {
    "2025-11-25": {
        "server-initialize",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    },
    "2026-07-28": {
        "tools-list",
        "resources-list",
        "prompts-list",
        "caching",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "http-header-validation",
        "input-required-result-unsupported-methods",
    },
}
SKILLS = ["sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"]
# A tool that no release has.
FIXTURE = "test_simple_text"


class Suite:
    """The suite, and the server that it is run against."""

    def __init__(self, node_folder, binary):
        bin_folder = pathlib.Path(node_folder).resolve() / "node_modules" / ".bin"
        # The file itself: the link in .bin would start whichever Node is first in the PATH.
        self.program = [str(bin_folder / "node"), str((bin_folder / "conformance").resolve()), "server"]
        self.binary = binary

    def run(self, *arguments):
        """The exit code, what was printed, and each scenario with those of its checks that failed."""
        with story.stage() as (folder, env), story.http_server(self.binary, folder, env) as address:
            with tempfile.TemporaryDirectory() as results:
                command = [*self.program, "--url", f"{address}/mcp", "--output-dir", results, *arguments]
                done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, text=True)
                return done.returncode, done.stdout + done.stderr, failures(pathlib.Path(results))


def failures(results):
    found = {}
    for path in results.glob("server-*/checks.json"):
        scenario = re.fullmatch(r"server-(.+?)-\d{4}-\d\d-\d\dT.*", path.parent.name).group(1)
        checks = json.loads(path.read_text(encoding="utf-8"))
        found[scenario] = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
    return found


def told(failed):
    return "\n".join(f"{scenario}: {check['id']}: {check.get('errorMessage')}" for scenario, checks in failed.items() for check in checks)


def baseline():
    lines = BASELINE.read_text(encoding="utf-8").splitlines()
    return {line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")}


def check_with_fixtures(suite, revision):
    """All of a revision but what the baseline names; also what the suite does not score."""
    code, printed, found = suite.run("--requirements", revision, "--expected-failures", str(BASELINE))
    assert len(found) >= 33, (len(found), printed)
    known = baseline()
    failed = {(scenario, f"{scenario}:{check['id']}") for scenario, checks in found.items() for check in checks}
    unexpected = [check for scenario, check in failed if not known & {scenario, check}]
    assert not unexpected, f"{unexpected}\n{told(found)}"
    stale = [entry for entry in known if entry.split(":")[0] in found and not any(entry in names for names in failed)]
    assert not stale, f"these pass, and the baseline says otherwise: {stale}"
    assert code == 0, printed


def check_as_released(suite, revision):
    _, printed, found = suite.run("--requirements", revision)
    wanted = OF_ANY_SERVER[revision]
    assert wanted <= set(found), printed
    failed = {scenario: found[scenario] for scenario in wanted if found[scenario]}
    assert not failed, told(failed)


def check_skills(suite, scenario):
    code, printed, found = suite.run("--scenario", scenario)
    assert code == 0 and found == {scenario: []}, (printed, told(found))


def check_no_fixtures(binary, fixtures_binary):
    """They are where they should be, and nowhere else."""
    has = [FIXTURE.encode() in pathlib.Path(path).read_bytes() for path in (binary, fixtures_binary)]
    assert has == [False, True], has


def run(binary, fixtures_binary, node_folder):
    released, with_fixtures = Suite(node_folder, binary), Suite(node_folder, fixtures_binary)
    failed = story.report("no release has the fixtures", lambda: check_no_fixtures(binary, fixtures_binary))
    for revision in OF_ANY_SERVER:
        failed += story.report(f"{revision}, with fixtures", lambda: check_with_fixtures(with_fixtures, revision))
        failed += story.report(f"{revision}, as released", lambda: check_as_released(released, revision))
    for scenario in SKILLS:
        failed += story.report(f"{scenario}, as released", lambda: check_skills(released, scenario))
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(run(*[str(pathlib.Path(path).resolve()) for path in sys.argv[1:]]))
