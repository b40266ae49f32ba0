"""The image and the manifests agree, and the image keeps its promises: pinned, locked, unprivileged."""

from __future__ import annotations

import json
import re

from tests.deploy.build import DEPLOY, ROOT, one, read_all

DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
POD = one(read_all(DEPLOY / "vantage" / "deployment.yaml"), "Deployment")["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def instruction(name: str) -> list[str]:
    """The arguments of every `name` in the Dockerfile."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def test_every_base_image_is_pinned_by_a_tag() -> None:
    bases = [argument.split()[0] for argument in instruction("FROM")]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)


def test_dependencies_are_wheels_from_the_lock_alone() -> None:
    (install,) = re.findall(r"pip --python \S+ install .*", DOCKERFILE)
    assert "--no-deps" in install, "the lock is complete: nothing is resolved, so nothing else can come in"
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert "-r /src/requirements.txt" in install


def test_the_user_is_the_one_of_the_pod() -> None:
    assert instruction("USER") == [f"{POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}"]


def test_arguments_and_port_are_those_of_the_pod() -> None:
    assert json.loads(instruction("ENTRYPOINT")[0]) == ["prober"]
    assert json.loads(instruction("CMD")[0]) == CONTAINER["args"]
    assert instruction("EXPOSE") == [str(CONTAINER["ports"][0]["containerPort"])]


def test_nothing_but_what_the_dockerfile_copies_is_sent_to_the_builder() -> None:
    sent = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {argument.split()[0] for argument in instruction("COPY") if not argument.startswith("--from")}
    assert sent == copied
