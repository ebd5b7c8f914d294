"""Kubernetes' own schemas, offline: what an API server of each version would refuse."""

import functools
import json

import jsonschema_rs

from helm import TOOLS

VERSIONS = ("1.31", "1.32", "1.33", "1.34")


@functools.cache
def _schemas(version):
    return json.loads((TOOLS / "schemas" / f"{version}.json").read_text())


@functools.cache
def _kinds(version):
    """(group/version, kind) → the name of its definition."""
    return {
        (f"{known['group']}/{known['version']}".lstrip("/"), known["kind"]): name
        for name, schema in _schemas(version)["$defs"].items()
        for known in schema.get("x-kubernetes-group-version-kind", [])
    }


@functools.cache
def _validator(version, name):
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{name}", "$defs": _schemas(version)["$defs"]})


def knows(document, version):
    """Whether Kubernetes itself has this kind; others come with what is installed on top."""
    return (document["apiVersion"], document["kind"]) in _kinds(version)


def errors(document, version):
    """What is wrong with a document of Kubernetes' own kinds, unknown fields too."""
    name = _kinds(version)[document["apiVersion"], document["kind"]]
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(version, name).iter_errors(document)
    ]


def doubles(document, version):
    """Entries of lists that an API server tells apart by keys, and that have the same: Helm 4 is refused them."""
    definitions = _schemas(version)["$defs"]

    def walk(value, schema, path):
        while "$ref" in schema:
            schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, schema.get("properties", {}).get(key, {}), (*path, key))
        elif isinstance(value, list):
            # Only `protocol` has a default among those keys.
            keys = schema.get("x-kubernetes-list-map-keys", [])
            seen = [tuple(entry.get(key, "TCP" if key == "protocol" else None) for key in keys) for entry in value if keys]
            yield from (f"{'.'.join(path)}: {entry}" for entry in sorted(set(seen), key=str) if seen.count(entry) > 1)
            for inner in value:
                yield from walk(inner, schema.get("items", {}), path)

    return list(walk(document, definitions[_kinds(version)[document["apiVersion"], document["kind"]]], ()))
