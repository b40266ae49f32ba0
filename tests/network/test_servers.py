"""The lab's own servers, seen by clients that are not ours: curl, dig, and grpcio's own health client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prober.reasons import COMMON_FAILURES, REASONS, Family, Reason
from tests.network.lab import plan
from tests.network.lab.faults import fronts, servers
from tests.network.lab.faults.fault import KINDS, LETTERS, Fault
from tests.network.lab.lab import ACCOUNT
from tests.network.lab.names import WWW
from tests.network.lab.process import PROBER, LabProcess
from tests.support.tools import require_tool

CA = "/run/lab/ca.crt"
WEB = "web.app.svc.cluster.local"
_EXPIRED = 60  # curl's exit code where the certificate does not hold
_HEALTH = """
import sys, grpc
from grpc_health.v1 import health_pb2 as messages, health_pb2_grpc as stubs
to, ca = sys.argv[1:]
options = [("grpc.ssl_target_name_override", "payments.app.svc")]
trust = grpc.ssl_channel_credentials(open(ca, "rb").read()) if ca else None
channel = grpc.secure_channel(to, trust, options) if trust else grpc.insecure_channel(to)
print(stubs.HealthStub(channel).Check(messages.HealthCheckRequest(service="payments.v1.Payments"), timeout=5).status)
"""


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _curl(lab: LabProcess, url: str, *options: str, to: str = "") -> tuple[int, str]:
    """curl's exit code, and the HTTP version and status that it saw; `to` is where the connection goes."""
    said = ("-s", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--max-time", "5", "--cacert", CA)
    where = ("--connect-to", f"::{to}") if to else ()
    done = lab.run("client", require_tool("curl"), *said, *where, *options, url)
    return done.returncode, done.stdout


def _dig(lab: LabProcess, server: str, name: str, *options: str) -> list[str]:
    done = lab.run("client", require_tool("dig"), f"@{server}", "+short", "+time=2", "+tries=1", name, *options)
    return done.stdout.split()


@pytest.mark.parametrize("family", Family)
def test_the_web_application_answers_in_its_pods_behind_its_service_and_outside(
    lab: LabProcess, family: Family
) -> None:
    for pod in (plan.WEB1, plan.WEB2, plan.CLIENT):
        address = _host(pod.address(family))
        assert _curl(lab, f"http://{address}:{plan.HTTP}/health") == (0, "1.1 200")
        assert _curl(lab, f"https://{address}:{plan.HTTPS}/health") == (0, "2 200")
    vip = _host(plan.SERVICES["web"].address(family))
    assert _curl(lab, f"http://{vip}/") == (0, "1.1 200")
    assert _curl(lab, f"https://{WEB}/readyz", to=f"{vip}:443") == (0, "2 200")
    outside = _host(plan.OUTSIDE_ADDRESSES[family])
    assert _curl(lab, f"https://{WWW.rstrip('.')}/", to=f"{outside}:443") == (0, "2 200")
    assert _curl(lab, f"http://{outside}/") == (0, "1.1 200")


def test_global_unicast_addresses_are_answered_too(lab: LabProcess) -> None:
    assert _curl(lab, f"https://{WEB}:{plan.HTTPS}/", to=f"[{plan.WEB2.gua_address}]:{plan.HTTPS}") == (0, "2 200")


@pytest.mark.parametrize("family", Family)
def test_payments_serves_in_the_clear_and_over_tls(lab: LabProcess, family: Family) -> None:
    vip = _host(plan.SERVICES["payments"].address(family))
    for to, ca in ((f"{vip}:{plan.GRPC}", ""), (f"{vip}:{plan.GRPCS}", CA)):
        done = lab.run("client", sys.executable, "-P", "-c", _HEALTH, to, ca)
        assert done.stdout.strip() == "1", done.stderr  # SERVING


@pytest.mark.parametrize("family", Family)
def test_the_cluster_dns_answers_over_udp_and_tcp(lab: LabProcess, family: Family) -> None:
    vip = plan.SERVICES["web"].address
    for server in (plan.DNS.address(family), plan.SERVICES["kube-dns"].address(family)):
        for transport in ("+notcp", "+tcp"):
            assert _dig(lab, server, WEB, "A", transport) == [vip(Family.IPV4)]
            assert _dig(lab, server, WEB, "AAAA", transport) == [vip(Family.IPV6)]


@pytest.mark.parametrize("family", Family)
def test_the_api_server_takes_the_token_that_pods_have_mounted(lab: LabProcess, family: Family) -> None:
    to = f"{_host(plan.SERVICES['kubernetes'].address(family))}:443"
    url = "https://kubernetes.default.svc/readyz"
    token = (lab.root / ACCOUNT.relative_to("/") / "token").read_text(encoding="ascii")
    assert _curl(lab, url, "-H", f"Authorization: Bearer {token}", to=to) == (0, "2 200")
    assert _curl(lab, url, "-H", "Authorization: Bearer other", to=to) == (0, "2 401")
    assert _curl(lab, url, to=to) == (0, "2 403")


@pytest.mark.parametrize(("bad", "good"), [tuple(Family), tuple(reversed(Family))])
def test_a_fault_is_in_one_family_and_undoes_itself(lab: LabProcess, bad: Family, good: Family) -> None:
    def seen(family: Family) -> int:
        address = _host(plan.WEB2.address(family))
        return _curl(lab, f"https://{address}:{plan.HTTPS}/health")[0]

    lab.ask(fault="tls-expired", on=True, families=[bad])
    try:
        assert (seen(bad), seen(good)) == (_EXPIRED, 0)
    finally:
        lab.ask(fault="tls-expired", on=False)
    assert (seen(bad), seen(good)) == (0, 0)


def test_a_fault_of_the_token_gives_it_back(lab: LabProcess) -> None:
    token = lab.root / ACCOUNT.relative_to("/") / "token"
    before = token.read_bytes()
    lab.ask(fault="api-403-anon", on=True)
    assert not token.exists()
    lab.ask(fault="api-403-anon", on=False)
    assert token.read_bytes() == before


_PODS = """\
defaults: {interval: 10s, timeout: 2s, tls: {ca_file: /run/lab/ca.crt}}
targets:
  web: {paths: {pods: {url: "https://web.app.svc.cluster.local/", endpoints: {service: app/web-both, port: https}}}}
probes: [{name: pods, kind: http, targets: [web], families: [ipv4, ipv6]}]
"""


def test_the_pods_behind_a_service_are_found_by_their_endpoint_slices(lab: LabProcess, tmp_path: Path) -> None:
    """In the vantage, with the mounted token, as in a cluster. Where they are not told, no Pod is called down."""
    (tmp_path / "probes.yaml").write_text(_PODS)
    service = plan.SERVICES["kubernetes"]
    env = {"KUBERNETES_SERVICE_HOST": service.address(Family.IPV4), "KUBERNETES_SERVICE_PORT": "443"}

    def runs() -> list[dict[str, Any]]:
        done = lab.run("client", *PROBER, "once", "-c", str(tmp_path / "probes.yaml"), "-o", "ndjson", env=env)
        return [json.loads(line) for line in done.stdout.splitlines()]

    pods = [(pod.address(family), True) for family in Family for pod in plan.SERVICES["web-both"].pods]
    assert sorted((run["address"], run["ok"]) for run in runs()) == sorted(pods)
    lab.ask(fault="api-401", on=True)
    try:
        assert [run["blame"]["reason"] for run in runs()] == ["internal"] * len(Family)
    finally:
        lab.ask(fault="api-401", on=False)


@pytest.mark.parametrize("fault", [*servers.FAULTS, *fronts.FAULTS], ids=lambda fault: fault.name)
def test_a_row_says_a_sentence_and_blames_what_a_layer_can_fail_for(fault: Fault) -> None:
    assert re.fullmatch(r"[A-Z].*[^.]\.", fault.says)
    assert len(fault.signature) == len(KINDS)
    assert set(fault.signature) <= set(LETTERS)
    assert fault.blame or set(fault.signature) == {"+"}
    for layer, reasons in fault.blame.items():
        assert set(reasons) <= {*REASONS[layer], *COMMON_FAILURES} - {Reason.INTERNAL, Reason.CANCELLED}


@pytest.mark.parametrize("family", Family)
def test_kubectl_finds_its_way_to_the_endpoint_slices(lab: LabProcess, family: Family) -> None:
    """Discovery, a list over all namespaces, one slice by its name, a raw request, and a right that is missing."""
    account = str(ACCOUNT)
    server = f"https://{_host(plan.SERVICES['kubernetes'].address(family))}"
    token = (lab.root / ACCOUNT.relative_to("/") / "token").read_text(encoding="ascii")

    def kubectl(*command: str) -> subprocess.CompletedProcess[str]:
        options = (f"--server={server}", f"--token={token}", f"--certificate-authority={account}/ca.crt")
        return lab.run("client", require_tool("kubectl"), *options, "--cache-dir=/run/kubectl", *command)

    one = kubectl("get", "endpointslice", "-n", "app", "web-both-ipv6", "-o", "jsonpath={.endpoints[*].addresses[0]}")
    assert one.stdout.split() == [pod.address(Family.IPV6) for pod in plan.SERVICES["web-both"].pods], one.stderr
    listed = kubectl("get", "endpointslices", "-A", "-o", "jsonpath={.items[*].metadata.name}")
    assert len(listed.stdout.split()) == len(plan.SERVICES) * len(Family), listed.stderr
    assert kubectl("get", "--raw", "/readyz").stdout == "ok"
    lab.ask(fault="api-403-rbac", on=True)
    try:
        assert "Forbidden" in kubectl("get", "--raw", "/readyz").stderr
    finally:
        lab.ask(fault="api-403-rbac", on=False)
