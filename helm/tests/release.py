"""A rendered release as its documents, and the pods and containers in them."""

import copy
import functools
from dataclasses import dataclass

import yaml


class _Strict(yaml.CSafeLoader):
    """Kubernetes would refuse a key that stands twice, or take the last; YAML in Python says nothing."""


def _mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    doubles = {key for key in keys if keys.count(key) > 1}
    if doubles:
        raise yaml.YAMLError(f"{', '.join(map(str, doubles))} stands twice{node.start_mark}")
    return yaml.CSafeLoader.construct_mapping(loader, node, deep=True)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@functools.cache
def _documents(text):
    return [document for document in yaml.load_all(text, _Strict) if document]


@dataclass(frozen=True)
class Pod:
    """The template of a pod, with what makes pods of it."""

    owner: dict
    template: dict

    @property
    def name(self):
        return self.owner["metadata"]["name"]

    @property
    def kind(self):
        return self.owner["kind"]

    @property
    def component(self):
        return self.labels.get("app.kubernetes.io/component", self.name)

    @property
    def labels(self):
        return self.template.get("metadata", {}).get("labels") or {}

    @property
    def spec(self):
        return self.template["spec"]

    @property
    def serves(self):
        """Whether it is there to stay, and not to come to an end."""
        return self.kind in ("Deployment", "StatefulSet", "DaemonSet")

    @property
    def is_hook(self):
        """Whether Helm makes it anew each time, beside the release."""
        return "helm.sh/hook" in (self.owner["metadata"].get("annotations") or {})

    def containers(self):
        """Every container, first those that come before the others."""
        return (self.spec.get("initContainers") or []) + self.spec["containers"]

    def volume(self, name):
        return next(volume for volume in self.spec.get("volumes") or [] if volume["name"] == name)


class Release:
    """What Helm rendered, to be asked."""

    def __init__(self, text):
        self.text = text
        self.documents = _documents(text)

    def copy(self):
        """One that a test may spoil."""
        other = Release(self.text)
        other.documents = copy.deepcopy(self.documents)
        return other

    def all(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def one(self, kind, name):
        found = [document for document in self.all(kind) if document["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} of {kind} {name}, there are {self.names(kind)}"
        return found[0]

    def names(self, kind):
        return sorted(document["metadata"]["name"] for document in self.all(kind))

    def pods(self):
        return [Pod(document, template) for document in self.documents for template in _templates(document)]

    def pod(self, component):
        found = [pod for pod in self.pods() if pod.component == component]
        assert len(found) == 1, f"{len(found)} pods of {component}, there are {[pod.component for pod in self.pods()]}"
        return found[0]


def _templates(document):
    if document["kind"] == "Pod":
        yield document
    elif document["kind"] == "CronJob":
        yield document["spec"]["jobTemplate"]["spec"]["template"]
    elif document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"):
        yield document["spec"]["template"]
