#!/usr/bin/env python3
"""Keeps what is written about the chart true to the chart.

    deploy/tools/chart-papers.py            writes the table of values in helm/usher/README.md anew
    deploy/tools/chart-papers.py --check    changes nothing; fails where a paper or the schema is not current

The table comes from helm/usher/values.yaml: each key with its default and the `# --` comment above it. The settings of
services that values.schema.json takes are those of docs/usher.example.toml, but for those that the chart decides.
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "usher"
BEGIN, END = "<!-- values:begin -->", "<!-- values:end -->"
KEY = re.compile(r"^( *)([A-Za-z][\w-]*):(?: (.*))?$")

# What the chart decides by other values; and so it does every file of secrets.
DECIDED = {
    "listen", "admin_listen", "database_url", "nats_url", "nats_credentials", "dispatcher", "verification_url", "mailer_url",
    "mail_url", "mail_from", "public_url", "log_format", "rust_log",
}


def rows(text):
    """(path, default, meaning) of each key that holds no further keys."""
    lines = text.splitlines()
    path, meaning, is_meaning, found = [], "", False, []
    for number, line in enumerate(lines):
        comment = line.strip()
        if comment.startswith("#"):
            words = comment.lstrip("# ")
            if words.startswith("-- "):
                meaning, is_meaning = words[3:], True
            elif is_meaning:
                meaning += " " + words
            continue
        is_meaning = False
        key = KEY.match(line)
        if not key:
            if not comment:
                meaning = ""
            continue
        depth = len(key[1]) // 2
        path = path[:depth] + [key[2]]
        value = key[3]
        if value is None:
            below = next((one for one in lines[number + 1:] if one.strip() and not one.strip().startswith("#")), "")
            # A list is shown as such; a map's keys have rows of their own.
            if not below.strip().startswith("- "):
                meaning = ""
                continue
            value = "…"
        found.append((".".join(path), value, meaning))
        meaning = ""
    return found


def table(text):
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, meaning in rows(text):
        default = default.replace("|", "\\|")
        lines.append(f"| `{path}` | `{default}` | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def settings(text):
    """The settings of each service that values may set."""
    found = {}
    for block in re.split(r"^\[", text, flags=re.MULTILINE)[1:]:
        service = block.split("]")[0]
        names = set(re.findall(r"^#([a-z0-9_]+) = ", block, flags=re.MULTILINE))
        found[service] = sorted(name for name in names - DECIDED if not name.endswith("_file"))
    return found


def faults_of_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())
    there = settings((ROOT / "docs" / "usher.example.toml").read_text())
    shared = sorted(set.intersection(*(set(names) for names in there.values())))
    places = {f"services.{name}": schema["properties"]["services"]["properties"][name] for name in there}
    wanted = {f"services.{name}": names for name, names in there.items()} | {"defaults": shared}
    places["defaults"] = schema["properties"]["defaults"]
    for place, names in wanted.items():
        taken = sorted(places[place]["allOf"][1]["properties"]["settings"]["propertyNames"]["enum"])
        if taken != names:
            less, more = sorted(set(names) - set(taken)), sorted(set(taken) - set(names))
            yield f"values.schema.json, {place}.settings: it lacks {less or 'nothing'} and has {more or 'nothing'} too many"


def main():
    readme = CHART / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    current = f"{before}{BEGIN}\n{table((CHART / 'values.yaml').read_text())}\n{END}{after}"
    faults = list(faults_of_schema())
    if "--check" not in sys.argv[1:]:
        readme.write_text(current)
    elif current != text:
        faults.append("README.md: its table is not that of values.yaml; `make papers` writes it")
    for fault in faults:
        print(f"helm/usher/{fault}.", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
