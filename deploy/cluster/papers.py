#!/usr/bin/env python3
"""README's recorded output of `make up`.

    make up | deploy/cluster/papers.py write      puts what `make up` says into README
    make up | deploy/cluster/papers.py check      fails where README says something else

What is compared leaves out what differs from run to run and from machine to machine: ids, times, names of clusters."""

import difflib
import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- up:begin -->\n```text\n", "```\n<!-- up:end -->"


def structure(text):
    """Each line without its numbers, ids and bars; lines of the trace sorted, for services work side by side."""
    lines, trace = [], []
    for line in text.strip().splitlines():
        bare = words(line)
        if any(bar in line for bar in "━╸╺"):
            trace.append(bare)
            continue
        lines += [*sorted(trace), bare]
        trace = []
    return [*lines, *sorted(trace)]


def words(line):
    line = re.sub("[━╸╺├└│╴]", " ", line)
    line = re.sub(r"kind-[\w.-]+", "kind-#", line)
    line = re.sub(r"\b[0-9a-f]{8}[0-9a-f-]{4,}\b", "#", line)
    line = re.sub(r"\+?v?\d[\w.:+~-]*", "#", line)
    line = re.sub(r"# (µs|ms|s|min)\b", "#", line)
    # Docker may have the image of these sources from an earlier run.
    return " ".join(line.replace("is built already", "built in #").split())


def main():
    said = sys.stdin.read()
    text = README.read_text()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    if not said.rstrip().endswith("takes all of it away"):
        sys.exit(f"make up did not come to its end:\n{said}")
    if sys.argv[1:] == ["write"]:
        README.write_text(head + BEGIN + said.rstrip() + "\n" + END + tail)
        return
    difference = list(difflib.unified_diff(structure(old), structure(said), "README.md", "make up", lineterm="", n=1))
    if difference:
        sys.exit("\n".join(["README.md does not say what make up says; make papers-up writes it anew:", *difference]))
    print("README.md says what make up says")


main()
