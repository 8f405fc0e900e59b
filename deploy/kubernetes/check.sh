#!/bin/sh
# Checks the manifests in this directory against the schemas of Kubernetes, without a cluster. The schemas are those of
# the Python package kubernetes-validate, which is installed below target/ where it is missing. Says so, and succeeds,
# where it cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
environment=${CARGO_TARGET_DIR:-$here/../../target}/kubernetes-schemas
python=$environment/bin/python

skip() {
  echo "skipped: $1"
  exit 0
}

if python3 -c 'import kubernetes_validate' 2>/dev/null; then
  python=python3
elif ! "$python" -c 'import kubernetes_validate' 2>/dev/null; then
  command -v python3 >/dev/null || skip 'python3 is not installed'
  python3 -m venv "$environment" 2>/dev/null || skip 'python3 has no module venv'
  "$environment/bin/pip" --quiet --disable-pip-version-check install --retries 1 kubernetes-validate 2>/dev/null ||
    skip 'the package kubernetes-validate cannot be installed'
fi

exec "$python" - "$here" <<'PYTHON'
import pathlib
import sys

import kubernetes_validate
import yaml

# Of the releases that are common now, the oldest and the newest whose schemas there are.
VERSIONS = ["1.29", kubernetes_validate.latest_version()]

failed = False
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    for document in yaml.safe_load_all(path.read_text()):
        name = f"{path.name}: {document['kind']} {document['metadata']['name']}"
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
                print(f"ok      {name} ({version})")
            except kubernetes_validate.ValidationError as error:
                failed = True
                print(f"FAILED  {name} ({version}): {error.message} at {list(error.path)}")
sys.exit(failed)
PYTHON
