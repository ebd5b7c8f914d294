"""What is said at the end: how many of each file, the audit's table, and loudly what could not be tried."""

import collections
from pathlib import Path

import pytest

import helm

AUDIT = pytest.StashKey[str]()


@pytest.fixture
def show_audit(pytestconfig):
    """Takes the table that is shown at the end."""

    def keep(table):
        pytestconfig.stash[AUDIT] = table

    return keep


def pytest_sessionstart():
    """Called by pytest."""
    if helm.either() is None:
        pytest.exit("there is no Helm, neither 3 nor 4. Next: make tools, or put one on PATH.", returncode=1)


def pytest_report_teststatus(report):
    """No dot for each test that passes: there are hundreds."""
    return ("passed", "", "") if report.passed and report.when == "call" else None


def pytest_terminal_summary(terminalreporter, config):
    """A line for each file, the table, and what is missing."""
    files = collections.defaultdict(collections.Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            files[Path(report.nodeid.split("::")[0]).stem][outcome] += 1
    for file, outcomes in sorted(files.items()):
        terminalreporter.write_line(f"{file:20}" + ", ".join(f"{times} {outcome}" for outcome, times in outcomes.items()))
    if AUDIT in config.stash:
        terminalreporter.write_line("\n" + config.stash[AUDIT])
    for kind in helm.KINDS:
        if helm.program(kind) is None:
            line = f"skipped: what is rendered by Helm {kind[-1]}, because there is none (make tools says how to get it)"
            terminalreporter.write_line(f"{'=' * len(line)}\n{line}\n{'=' * len(line)}")
