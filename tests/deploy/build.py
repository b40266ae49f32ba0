"""Building what deploy/ says, by the tool that users have: kustomize, or kubectl with kustomize inside."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.tools import require_tool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())
#: Components for the user to add, alone and together (disruptionbudget is already in where it belongs).
COMPONENTS = [(), ("endpointslices",), ("podmonitor",), ("nodes",), ("endpointslices", "podmonitor", "nodes")]

Manifest = dict[str, Any]


def _command() -> list[str]:
    if (kubectl := shutil.which("kubectl")) is not None and shutil.which("kustomize") is None:
        return [kubectl, "kustomize"]
    return [require_tool("kustomize"), "build"]


@cache
def build(folder: Path) -> tuple[Manifest, ...]:
    """The manifests of one kustomization, built without any flag."""
    done = subprocess.run([*_command(), str(folder)], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no deprecation warnings
    return tuple(yaml.safe_load_all(done.stdout))


def build_with(tmp_path: Path, overlay: str, components: tuple[str, ...], namespace: str = "prober") -> list[Manifest]:
    """An overlay as a user extends it: a kustomization of their own over ours, with components and a namespace."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", symlinks=True)
    mine = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [f"../deploy/overlays/{overlay}"],
        "components": [f"../deploy/components/{component}" for component in components],
    }
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(mine))
    return list(build(tmp_path / "mine"))


def workloads(manifests: tuple[Manifest, ...] | list[Manifest]) -> list[Manifest]:
    """The Deployments and DaemonSets among `manifests`."""
    return [m for m in manifests if m["kind"] in ("Deployment", "DaemonSet")]


def one(manifests: tuple[Manifest, ...] | list[Manifest], kind: str) -> Manifest:
    """The single manifest of `kind`."""
    (found,) = [m for m in manifests if m["kind"] == kind]
    return found


def read_all(path: Path) -> list[Manifest]:
    """The manifests of one file, as they stand there."""
    return list(yaml.safe_load_all(path.read_text()))
