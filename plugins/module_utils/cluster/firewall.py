# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a firewall on a host has to let through, as commands for firewalld and ufw. Pure.

A rule that is there is known by its text, so it is written as the program itself prints it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ..haproxy.values import is_local
from . import ports
from .hosts import HostView

#: What MyCat serves to the host itself alone where mycat_ha_firewall is `restrict`: manager, JMX.
LOCAL_PORTS = (9066, 1984)
#: Releases whose ufw does not know the protocol.
_UFW_WITHOUT_VRRP = {("Debian", "11"), ("Ubuntu", "20"), ("Ubuntu", "22")}


@dataclass(frozen=True)
class Rule:
    """``port`` 0: the protocol VRRP; ``source`` "": from everywhere."""

    port: int = 0
    source: str = ""
    accept: bool = True


def rules(host: HostView, needs: Mapping[str, Any]) -> list[Rule]:
    """What the roles of a host have to have let through, and what is to be refused."""
    found: list[Rule] = []
    restrict = host.common.get("mycat_ha_firewall") == "restrict"
    if "keepalived" in needs:
        found += [Rule(source=peer) for peer in needs["keepalived"]["peers"]]
        found += [Rule(accept=False)] if restrict else []
    if "haproxy" in needs:
        binds = ports.binds(needs["haproxy"]["text"])
        served = {ports.port_of(bind) for bind in binds if not is_local(bind)}
        found += [Rule(port) for port in sorted(served)]
    if "mycat_status" in needs:
        wanted = needs["mycat_status"]
        found += [Rule(port, lb) for port in wanted["ports"] for lb in wanted["asking"]]
        found += [Rule(port, accept=False) for port in LOCAL_PORTS] if restrict else []
    return found


def missing(host: HostView, wanted: list[Rule]) -> list[str]:
    """The wanted rules that the host's firewall does not have, as it prints them."""
    known = host.state.get("firewall") or {}
    written = list(dict.fromkeys(text for rule in wanted for text in _texts(host, rule)))
    return [text for text in written if text not in (known.get("rules") or ())]


def commands(host: HostView, texts: list[str]) -> list[list[str]]:
    """What adds these rules to the host's firewall, for now and for later."""
    if _kind(host) == "ufw":
        return [shlex.split(text) for text in texts]
    return [
        ["firewall-cmd", *when, f"--add-rich-rule={text}"]
        for text in texts
        for when in (["--permanent"], [])
    ]


def closing(host: HostView, wanted: list[Rule]) -> list[list[str]]:
    """What takes those of the rules away that the host's firewall has, for now and for later."""
    known = (host.state.get("firewall") or {}).get("rules") or ()
    texts = dict.fromkeys(text for rule in wanted for text in _texts(host, rule))
    found = [text for text in texts if text in known]
    if _kind(host) == "ufw":
        return [["ufw", "delete", *shlex.split(text)[1:]] for text in found]
    return [
        ["firewall-cmd", *when, f"--remove-rich-rule={text}"]
        for text in found
        for when in (["--permanent"], [])
    ]


def by_hand(rule: Rule) -> str:
    """The rule as nftables reads it, for an operator to put into his own set."""
    family = "ip6" if ":" in rule.source else "ip"
    what = f"tcp dport {rule.port}" if rule.port else "meta l4proto 112"
    source = f"{family} saddr {rule.source} " if rule.source else ""
    return f"{source}{what} {'accept' if rule.accept else 'drop'}"


def _kind(host: HostView) -> str:
    return str((host.state.get("firewall") or {}).get("kind") or "")


def _texts(host: HostView, rule: Rule) -> Iterator[str]:
    if _kind(host) == "ufw":
        yield from _ufw(host, rule)
    elif _kind(host) == "firewalld":
        yield _firewalld(rule)


def _ufw(host: HostView, rule: Rule) -> Iterator[str]:
    verb, facts = "allow" if rule.accept else "deny", host.facts
    release = (facts.get("distribution"), str(facts.get("distribution_major_version")))
    if rule.port:
        source = f"from {rule.source} to any port {rule.port} proto tcp"
        yield f"ufw {verb} {source if rule.source else f'{rule.port}/tcp'}"
    elif release not in _UFW_WITHOUT_VRRP:
        yield f"ufw {verb} {f'from {rule.source}' if rule.source else 'to any'} proto vrrp"
    elif rule.accept:
        # All protocols of a load balancer, for want of this one.
        yield f"ufw {verb} from {rule.source}"


def _firewalld(rule: Rule) -> str:
    # Where two rules fit, that of the lower priority counts.
    words = ["rule"] if rule.accept else ['rule priority="10"']
    if rule.source:
        family = "ipv6" if ":" in rule.source else "ipv4"
        words = [f'{words[0]} family="{family}" source address="{rule.source}"']
    what = f'port port="{rule.port}" protocol="tcp"' if rule.port else 'protocol value="vrrp"'
    return f"{words[0]} {what} {'accept' if rule.accept else 'drop'}"
