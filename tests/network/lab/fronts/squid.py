"""squid as explicit proxy: CONNECT to where it is allowed to, with a password if it is told so."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.network.lab.fronts.ingress import Address, authority
from tests.network.lab.fronts.process import HERE, Front, Place

_NOBODY = 65534
USER, PASSWORD = "prober", "opensesame"

_MAIN = """\
{ports}
visible_hostname squid
pid_filename none
cache_log {directory}/cache.log
access_log none
cache_store_log none
coredump_dir {directory}
cache deny all
cache_mem 0 MB
memory_pools off
pinger_enable off
shutdown_lifetime 0 seconds
connect_timeout 3 seconds
dns_retransmit_interval 300 milliseconds
dns_timeout 1 second
negative_dns_ttl 1 second
positive_dns_ttl 1 second
forward_timeout 3 seconds
forward_max_tries 1
hosts_file none
{resolver}
{login}
acl tunnel method CONNECT
acl forbidden port {forbidden}
http_access deny !tunnel
{deny}
{allow}
http_access deny all
"""
_LOGIN = """\
auth_param basic program {helper}
auth_param basic children 1 startup=1 idle=1
auth_param basic realm lab
acl known proxy_auth REQUIRED
"""
#: squid's protocol for helpers: a line with name and password, answered OK or ERR.
_HELPER = """\
#!/bin/sh
while read -r name password rest; do
  if [ "$name $password" = "{user} {password}" ]; then echo OK; else echo ERR; fi
done
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """The configuration of a proxy. A fault of it is another value of one field."""

    listen: Sequence[Address]
    nameservers: Sequence[str] = ()
    """Addresses of DNS servers; none: those of resolv.conf."""
    allowed: bool = True
    """False: every destination is denied (403)."""
    login: bool = False
    """Only with USER and PASSWORD (407)."""


def configuration(rules: Rules, directory: Path) -> str:
    """The text of squid.conf."""
    helper = directory / "login"
    return _MAIN.format(
        ports="\n".join(f"http_port {authority(address)}" for address in rules.listen),
        directory=directory,
        resolver=f"dns_nameservers {' '.join(rules.nameservers)}" if rules.nameservers else "",
        login=_LOGIN.format(helper=helper) if rules.login else "",
        forbidden=25,
        deny="http_access deny forbidden" if rules.allowed else "http_access deny all",
        allow="http_access allow known" if rules.login else "http_access allow all",
    )


class Squid(Front):
    """One process, and a helper for passwords."""

    program = "squid"
    ends_on = signal.SIGKILL  # there is nothing to save, and its own way out takes two seconds

    def __init__(self, directory: Path, rules: Rules, place: Place = HERE) -> None:
        super().__init__(directory, place)
        self.rules = rules

    def listens(self) -> Sequence[Address]:
        """See Front."""
        return self.rules.listen

    def prepare(self) -> Sequence[str]:
        """See Front."""
        file, helper = self.directory / "squid.conf", self.directory / "login"
        helper.write_text(_HELPER.format(user=USER, password=PASSWORD), encoding="utf-8")
        helper.chmod(0o700)
        file.write_text(configuration(self.rules, self.directory), encoding="utf-8")
        return ["-N", "-f", str(file)]

    def command(self) -> Sequence[str]:
        """squid refuses to run as root: it gets a user namespace, in which we are somebody else."""
        return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", *super().command()]

    async def become(self, rules: Rules) -> None:
        """Start again with other rules."""
        self.rules = rules
        await self.restart()
