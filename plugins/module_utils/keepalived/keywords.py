# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keywords of keepalived.conf that concern VRRP, a row each.

Those of keepalived 2.2.7, with the ones that later versions up to 2.4 added. Whoever has to know
something of a keyword reads it from its row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .dialect import ENDS_WITHOUT_VALUE, SINCE


@dataclass(frozen=True)
class Keyword:
    """What is to be known of a keyword in a block; ``block`` is empty at the top of a file."""

    block: str
    name: str
    #: How many words the daemon reads after it (it ignores the others); None: all.
    words: int | None = None
    #: What it sets in the model of its block.
    field: str = ""
    since: tuple[int, ...] = ()
    #: The daemon ends where no value follows it.
    ends_without_value: bool = False
    #: keepalived makes a change of it when it starts, and not at a reload.
    at_start: bool = False
    #: All nodes have to make a change of it at once.
    at_once: bool = False
    #: The variable of the role that holds the secret in it.
    secret: str = ""


# --- the rows -------------------------------------------------------------------------------------


def _unread(block: str, names: str) -> Iterator[Keyword]:
    """Keywords that are known, and of which nothing more has to be known."""
    return (Keyword(block, name) for name in names.split())


def _at_start(block: str, names: str) -> Iterator[Keyword]:
    return (Keyword(block, name, at_start=True) for name in names.split())


_G, _I, _A, _S = "global_defs", "vrrp_instance", "authentication", "vrrp_script"
_PASS, _HMAC = "keepalived_auth_pass", "keepalived_auth_hmac"

_ROWS = (
    *_at_start("", "net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance"),
    *_unread(
        "",
        """
        track_group static_ipaddress static_routes static_rules garp_group linkbeat_interfaces
        interface_up_down_delays SSL virtual_server_group virtual_server bfd_instance
        linkbeat_use_polling child_wait_time
        """,
    ),
    Keyword(_G, "vrrp_version", 1, "version"),
    Keyword(_G, "vrrp_strict", field="strict"),
    Keyword(_G, "vrrp_down_timer_adverts", field="down_timer_adverts"),
    Keyword(_G, "vrrp_check_unicast_src", 0, "check_unicast_src"),
    Keyword(_G, "enable_script_security", 0, "script_security"),
    Keyword(_G, "script_user", field="script_user"),
    Keyword(_G, "vrrp_mcast_group4", at_once=True),
    Keyword(_G, "vrrp_mcast_group6", at_once=True),
    # SNMP's agent is started only at a start, and D-Bus's name taken.
    *_at_start(
        "global_defs",
        """
             nftables
        nftables_ipvs nftables_ifindex tmp_config_directory disable_local_igmp enable_snmp_vrrp
        enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_traps
        snmp_socket dbus_service_name
        """,
    ),
    *_unread(
        "global_defs",
        """
        process_names process_name vrrp_process_name checker_process_name lvs_process_name
        bfd_process_name router_id notification_email_from smtp_server smtp_helo_name
        smtp_connect_timeout notification_email smtp_alert startup_script
        startup_script_timeout shutdown_script shutdown_script_timeout max_auto_priority
        min_auto_priority_delay smtp_alert_vrrp smtp_alert_checker checker_log_all_failures
        dynamic_interfaces no_email_faults default_interface lvs_timeouts lvs_flush
        lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon vrrp_garp_master_delay
        vrrp_garp_master_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat
        vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_garp_interval
        vrrp_gna_interval vrrp_min_garp vrrp_garp_extra_if vrrp_vmac_garp_intvl
        vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_iptables vrrp_ipsets
        nftables_priority nftables_ipvs_priority nftables_ipvs_start_fwmark
        nftables_counters vrrp_skip_check_adv_addr vrrp_priority
        vrrp_no_swap vrrp_rt_priority vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime
        notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script
        vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload lvs_notify_fifo
        lvs_notify_fifo_script checker_priority checker_no_swap checker_rt_priority
        checker_cpu_affinity checker_rlimit_rttime checker_rlimit_rtime bfd_priority
        bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime bfd_rlimit_rtime
        enable_snmp_keepalived enable_dbus dbus_no_interface_name vrrp_netlink_cmd_rcv_bufs
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs
        vrrp_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs
        process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs
        lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs
        lvs_netlink_monitor_rcv_bufs_force rs_init_notifies no_checker_emails
        vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_startup_delay vrrp_delay_after_boot
        log_unknown_vrids vmac_prefix vmac_addr_prefix umask random_seed reload_check_config
        reload_time_file reload_repeat reload_file include_check config_save_dir
        data_use_instance json_version json_dump_file state_dump_file stats_dump_file
        iproute_etc_dir iproute_usr_dir use_symlink_paths snmp_rs_stats_update_interval
        snmp_vs_stats_update_interval vrrp_owner_ignore_adverts v3_checksum_as_v2
        """,
    ),
    Keyword(_I, "state", 1, "state"),
    Keyword(_I, "interface", 1, "interface", at_once=True),
    Keyword(_I, "virtual_router_id", 1, "virtual_router_id", at_once=True),
    Keyword(_I, "priority", 1, "priority"),
    Keyword(_I, "version", 1, "version", at_once=True),
    Keyword(_I, "native_ipv6", 0, "version"),
    Keyword(_I, "advert_int", 1, "advert_int", at_once=True),
    Keyword(_I, "nopreempt", 0, "nopreempt"),
    Keyword(_I, "preempt", 0, "nopreempt"),
    Keyword(_I, "preempt_delay", 1, "preempt_delay"),
    Keyword(_I, "accept", 0, "accept"),
    Keyword(_I, "no_accept", 0, "accept"),
    Keyword(_I, "strict_mode", field="strict_mode"),
    Keyword(_I, "down_timer_adverts", 1, "down_timer_adverts"),
    Keyword(_I, "unicast_src_ip", 1, "unicast_src_ip", at_once=True),
    Keyword(_I, "mcast_src_ip", 1),
    Keyword(_I, "mcast_dst_ip", 1, "multicast_group"),
    Keyword(_I, "unicast_peer", field="unicast_peer", at_once=True),
    Keyword(_I, "check_unicast_src", 0, "check_unicast_src"),
    Keyword(_I, "unicast_ttl", 1, "unicast_ttl"),
    Keyword(_I, "virtual_ipaddress", field="virtual_ipaddress", at_once=True),
    Keyword(_I, "virtual_ipaddress_excluded", field="virtual_ipaddress_excluded"),
    Keyword(_I, _A, field="authentication", at_once=True, secret=_PASS),
    Keyword(_I, "auth_hmac", field="auth_hmac", at_once=True, secret=_HMAC),
    *_unread(
        "vrrp_instance",
        """
        use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_fault_no_peer
        old_unicast_checksum vrf dont_track_primary track_interface
        track_script track_file track_process track_bfd track_src_ip
        promote_secondaries linkbeat_use_polling virtual_routes virtual_rules
        skip_check_adv_addr debug notify_backup notify_master notify_fault notify_stop
        notify_deleted notify notify_master_rx_lower_pri smtp_alert notify_priority_changes
        lvs_sync_daemon_interface garp_master_delay garp_master_refresh garp_master_repeat
        garp_master_refresh_repeat garp_lower_prio_delay garp_lower_prio_repeat
        garp_extra_if vmac_garp_intvl lower_prio_no_advert higher_prio_send_advert
        kernel_rx_buf_size no_virtual_ipaddress v3_checksum_as_v2 timer_expired_backup
        thread_timer_expired owner_ignore_adverts
        """,
    ),
    Keyword(_A, "auth_type", 1, "auth_type"),
    Keyword(_A, "auth_pass", 1, "auth_pass", secret=_PASS),
    Keyword(_S, "interval", 1, "interval"),
    Keyword(_S, "timeout", 1, "timeout"),
    Keyword(_S, "rise", 1, "rise"),
    Keyword(_S, "fall", 1, "fall"),
    Keyword(_S, "init_fail", 0, "init_fail"),
    Keyword(_S, "user", field="user"),
    *_unread(
        "vrrp_script",
        """
        script weight
        """,
    ),
    *_unread(
        "track_file",
        """
        file weight init_file
        """,
    ),
    *_unread(
        "vrrp_track_file",
        """
        file weight init_file
        """,
    ),
    *_unread(
        "vrrp_track_process",
        """
        process param_match weight quorum quorum_max delay terminate_delay fork_delay
        full_command
        """,
    ),
    *_unread(
        "vrrp_sync_group",
        """
        group track_interface track_script track_file track_process track_bfd notify_backup
        notify_master notify_fault notify_stop notify smtp_alert global_tracking
        sync_group_tracking_weight notify_priority_changes
        """,
    ),
)

#: Block (empty: none) -> name -> row.
KEYWORDS: dict[str, dict[str, Keyword]] = {}
for _row in _ROWS:
    _key = (_row.block, _row.name)
    KEYWORDS.setdefault(_row.block, {})[_row.name] = replace(
        _row, since=SINCE.get(_key, ()), ends_without_value=_key in ENDS_WITHOUT_VALUE
    )

#: Known at the top of a file, but not read: LVS, BFD, static routes, the daemon itself.
OTHER_BLOCKS = frozenset(KEYWORDS[""])

#: Keywords that keepalived reads when it starts only, in global_defs or at the top.
AT_START = frozenset(row.name for row in _ROWS if row.at_start)
#: Keywords of which all nodes have to make a change at once.
AT_ONCE = frozenset(row.name for row in _ROWS if row.at_once)
#: Keywords whose value is a secret -> the variable of the role that holds it.
SECRETS = {row.name: row.secret for row in _ROWS if row.secret}
#: Blocks of a vrrp_instance with nothing but secrets.
SECRET_BLOCKS = tuple(row.name for row in _ROWS if row.secret and row.block == "vrrp_instance")

#: Keyword -> how many words the daemon reads after it.
ARGUMENTS = {row.name: row.words for row in _ROWS if row.words is not None}

#: Keywords with a block whose lines are entries, not keywords.
LISTS = frozenset(
    [
        "unicast_peer",
        "track_interface",
        "track_script",
        "track_file",
        "track_process",
        "track_bfd",
        "virtual_ipaddress",
        "virtual_ipaddress_excluded",
        "virtual_routes",
        "virtual_rules",
        "auth_hmac",
        "group",
        "notification_email",
    ]
)

#: What can follow an address in virtual_ipaddress; the word after each can be its value.
ADDRESS_OPTIONS = frozenset(
    [
        "dev",
        "label",
        "scope",
        "brd",
        "broadcast",
        "peer",
        "home",
        "nodad",
        "-nodad",
        "mngtmpaddr",
        "noprefixroute",
        "autojoin",
        "track_group",
        "no_track",
        "preferred_lft",
        "use_vmac",
    ]
)


def names_in(block: str) -> frozenset[str]:
    """The keywords of a block (empty: outside any) in some version."""
    blocks = KEYWORDS.keys() - {"", "authentication"} if not block else ()
    return frozenset((*KEYWORDS.get(block, ()), *blocks))


def since(block: str, keyword: str) -> tuple[int, ...] | None:
    """The first version that reads the keyword in the block; empty for those older than 1.3, None
    where no version reads it."""
    return SINCE.get((block, keyword), ()) if keyword in names_in(block) else None


def is_known(block: str, keyword: str, version: tuple[int, ...]) -> bool:
    """Whether this keepalived reads the keyword in the block (empty: outside any)."""
    first = since(block, keyword)
    return first is not None and version >= first


def is_keyword(word: str) -> bool:
    """Whether the word is a keyword somewhere."""
    return any(word in names_in(block) for block in KEYWORDS)
