"""Helm, of either kind, called as people call it."""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from release import Release

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "usher"
TOOLS = ROOT / ".tools" / "chart"
KINDS = ("helm3", "helm4")
OLDEST, NEWEST = "1.31", "1.34"


@functools.cache
def program(kind):
    """The Helm of this kind that runs, or nothing."""
    candidates = {"helm3": [TOOLS / "helm3"], "helm4": [os.environ.get("HELM4"), TOOLS / "helm4", "helm4"]}
    for candidate in [*candidates[kind], "helm"]:
        found = candidate and shutil.which(candidate)
        if found and version(found).startswith(f"v{kind[-1]}."):
            return found
    return None


def need(kind):
    """Skips the test that calls it where there is no such Helm; CI has one."""
    if program(kind) is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"skipped: there is no Helm {kind[-1]}; make tools says how to get it")


def either():
    """The kind that is used where it makes no difference."""
    return next((kind for kind in KINDS if program(kind)), None)


def version(path):
    return _run(path, "version", "--template", "{{.Version}}").stdout.strip()


@functools.cache
def _template(kind, chart, name, files, values, apis, kube, _attempt):
    flags = [flag for file in files for flag in ("--values", file)]
    flags += [flag for api in apis for flag in ("--api-versions", api)]
    return _run(
        program(kind), "template", name, chart, "--namespace", "usher", "--kube-version", kube, *flags, "--values", "-",
        text=values,
    )


def template(*files, values=None, apis=(), kube=NEWEST, kind=None, chart=CHART, name="usher", attempt=1):
    """What `helm template` said: files of values, and over them `values`. Another attempt is rendered anew."""
    paths = tuple(str(file) for file in files)
    return _template(kind or either(), str(chart), name, paths, json.dumps(values or {}), tuple(apis), kube, attempt)


def render(*files, **settings):
    """The release, where the values are good."""
    said = template(*files, **settings)
    assert said.returncode == 0, said.stderr
    return Release(said.stdout)


def refusal(*files, **settings):
    """Why there is no release, where the values are bad."""
    said = template(*files, **settings)
    assert said.returncode != 0, "these values were taken"
    return said.stderr


def lint(*files, kind, values=None, chart=CHART):
    """What is wrong with the chart and these values; warnings count, and what a template refuses, too."""
    flags = [flag for file in files for flag in ("--values", str(file))]
    said = _run(
        program(kind), "lint", str(chart), "--strict", "--namespace", "usher", "--kube-version", NEWEST, *flags,
        "--values", "-", text=json.dumps(values or {}),
    )
    # With `--strict` the same line may come as information only: a `fail` of a template does.
    wrong = re.findall(r"^\[(?:ERROR|WARNING)\].*|^.*Fail:.*|^level=.*", said.stdout + said.stderr, re.MULTILINE)
    return wrong or ([] if said.returncode == 0 else [said.stdout + said.stderr])


def _run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def read(path):
    """A file of values as it stands."""
    return yaml.safe_load(Path(path).read_text()) or {}


def copy_of_the_chart(folder):
    """A chart that a test may spoil."""
    return shutil.copytree(CHART, Path(folder) / "usher")

