"""The releases that are rendered: every way of installing the chart that differs from the others."""

from dataclasses import dataclass
from pathlib import Path

from helm import CHART, render

VALUES = Path(__file__).parent / "values"
LOCAL = CHART / "values-local.yaml"
PRODUCTION = CHART / "values-production.example.yaml"
MINIMAL = VALUES / "minimal.yaml"

# What is installed on top of Kubernetes, as `helm` asks a cluster for it.
APIS = (
    "gateway.networking.k8s.io/v1/GRPCRoute",
    "gateway.networking.k8s.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "postgresql.cnpg.io/v1",
    "postgresql.cnpg.io/v1/Cluster",
)


@dataclass(frozen=True)
class Case:
    """Files of values, each over the one before, and what the cluster has on top."""

    files: tuple
    apis: tuple = ()


CASES = {
    "local": Case((LOCAL,)),
    "production": Case((PRODUCTION,), APIS),
    "minimal": Case((MINIMAL,)),
    "given secrets": Case((MINIMAL, VALUES / "given-secrets.yaml")),
    "three replicas": Case((LOCAL, VALUES / "three-replicas.yaml")),
    "sqlite": Case((LOCAL, VALUES / "sqlite.yaml")),
    "cloudnativepg": Case((MINIMAL, VALUES / "cloudnativepg.yaml"), APIS),
    "server balancing": Case((MINIMAL, VALUES / "server-balancing.yaml")),
    "bare": Case((LOCAL, VALUES / "bare.yaml")),
    "everything": Case((MINIMAL, VALUES / "everything.yaml"), APIS),
}


def release(case, **settings):
    """A case, rendered."""
    chosen = CASES[case]
    return render(*chosen.files, **{"apis": chosen.apis, **settings})
