# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What versions of keepalived make of a keyword: since when they know it, and whether they end
where its value is missing.

``SINCE`` is read from the parsers of the releases 1.3.0 to 2.4.3 (source text; nothing was run).
``ENDS_WITHOUT_VALUE`` is what ``keepalived -t`` of 2.2.7 did with each keyword alone on its line.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Block ("": outside any) to version to the keywords that it brought. Others are older than 1.3.
_BROUGHT: dict[str, dict[tuple[int, ...], frozenset[str]]] = {
    "": {
        (2, 0, 0): _names("child_wait_time vrrp_track_file"),
        (2, 0, 3): _names("track_group"),
        (2, 0, 11): _names("vrrp_track_process"),
        (2, 0, 13): _names("linkbeat_interfaces"),
        (2, 1, 0): _names("net_namespace_ipvs track_file"),
        (2, 2, 3): _names("interface_up_down_delays"),
    },
    "global_defs": {
        (1, 3, 5): _names("vrrp_higher_prio_send_advert"),
        (1, 3, 6): _names(
            """
            lvs_notify_fifo lvs_notify_fifo_script notify_fifo notify_fifo_script
            vrrp_notify_fifo vrrp_notify_fifo_script
            """
        ),
        (1, 3, 7): _names("dbus_service_name"),
        (2, 0, 0): _names(
            """
            bfd_no_swap bfd_priority bfd_rlimit_rtime bfd_rt_priority
            checker_rlimit_rtime checker_rt_priority dynamic_interfaces enable_snmp_vrrp
            lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
            lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force
            no_checker_emails no_email_faults rs_init_notifies smtp_alert
            smtp_alert_checker smtp_alert_vrrp vrrp_netlink_cmd_rcv_bufs
            vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs
            vrrp_netlink_monitor_rcv_bufs_force vrrp_rlimit_rtime vrrp_rt_priority
            """
        ),
        (2, 0, 3): _names("vrrp_rx_bufs_multiplier vrrp_rx_bufs_policy"),
        (2, 0, 9): _names("umask"),
        (2, 0, 11): _names(
            """
            checker_log_all_failures nftables nftables_counters nftables_ifindex
            nftables_priority process_monitor_rcv_bufs process_monitor_rcv_bufs_force
            """
        ),
        (2, 0, 12): _names("vrrp_min_garp"),
        (2, 0, 14): _names("vrrp_startup_delay"),
        (2, 0, 15): _names("lvs_flush_onstop random_seed"),
        (2, 0, 16): _names(
            """
            bfd_process_name log_unknown_vrids lvs_process_name process_name
            process_names vrrp_notify_priority_changes vrrp_process_name
            """
        ),
        (2, 0, 17): _names("bfd_cpu_affinity checker_cpu_affinity vrrp_cpu_affinity"),
        (2, 1, 0): _names(
            """
            bfd_rlimit_rttime checker_rlimit_rttime max_auto_priority
            min_auto_priority_delay reload_repeat reload_time_file shutdown_script
            shutdown_script_timeout startup_script startup_script_timeout
            vrrp_rlimit_rttime
            """
        ),
        (2, 2, 0): _names(
            """
            checker_process_name disable_local_igmp include_check lvs_flush_on_stop
            reload_check_config reload_file tmp_config_directory vmac_addr_prefix
            vmac_prefix vrrp_vmac_garp_intvl
            """
        ),
        (2, 2, 2): _names("nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark"),
        (2, 2, 3): _names(
            """
            config_save_dir data_use_instance vrrp_down_timer_adverts vrrp_garp_extra_if
            """
        ),
        (2, 2, 5): _names("fifo_write_vrrp_states_on_reload"),
        (2, 2, 8): _names("json_version v3_checksum_as_v2"),
        (2, 3, 0): _names(
            """
            dbus_no_interface_name snmp_rs_stats_update_interval
            snmp_vs_stats_update_interval use_symlink_paths
            """
        ),
        (2, 3, 2): _names("iproute_etc_dir iproute_usr_dir"),
        (2, 3, 3): _names(
            """
            json_dump_file state_dump_file stats_dump_file vrrp_owner_ignore_adverts
            """
        ),
        (2, 4, 0): _names("vrrp_delay_after_boot"),
    },
    "vrrp_instance": {
        (1, 3, 5): _names("higher_prio_send_advert"),
        (1, 3, 7): _names("old_unicast_checksum"),
        (2, 0, 0): _names("linkbeat_use_polling track_bfd track_file track_src_ip"),
        (2, 0, 3): _names("kernel_rx_buf_size"),
        (2, 0, 6): _names("notify_master_rx_lower_pri"),
        (2, 0, 11): _names("track_process"),
        (2, 0, 16): _names("notify_priority_changes"),
        (2, 0, 17): _names("use_ipvlan"),
        (2, 1, 0): _names("check_unicast_src notify_deleted unicast_ttl"),
        (2, 2, 0): _names("use_vmac_addr vmac_garp_intvl"),
        (2, 2, 3): _names("down_timer_adverts garp_extra_if"),
        (2, 2, 5): _names("mcast_dst_ip unicast_fault_no_peer vrf"),
        (2, 2, 8): _names("no_virtual_ipaddress timer_expired_backup v3_checksum_as_v2"),
        (2, 3, 2): _names("thread_timer_expired"),
        (2, 3, 3): _names("owner_ignore_adverts"),
        (2, 4, 0): _names("auth_hmac"),
    },
    "vrrp_script": {
        (1, 3, 2): _names("init_fail"),
    },
    "vrrp_sync_group": {
        (2, 0, 0): _names(
            """
            notify_stop sync_group_tracking_weight track_bfd track_file track_interface
            track_script
            """
        ),
        (2, 0, 11): _names("track_process"),
        (2, 2, 0): _names("notify_priority_changes"),
    },
    "vrrp_track_process": {
        (2, 0, 16): _names("fork_delay param_match quorum_max terminate_delay"),
    },
}
SINCE = {
    (block, name): version
    for block, versions in _BROUGHT.items()
    for version, names in versions.items()
    for name in names
}

_ENDS = {
    "global_defs": _names(
        """
        bfd_process_name bfd_rlimit_rtime bfd_rlimit_rttime checker_process_name
        checker_rlimit_rtime checker_rlimit_rttime config_save_dir lvs_process_name
        nftables_ipvs_priority nftables_ipvs_start_fwmark nftables_priority process_name
        random_seed smtp_connect_timeout smtp_server umask vmac_addr_prefix vmac_prefix
        vrrp_down_timer_adverts vrrp_garp_interval vrrp_garp_lower_prio_delay
        vrrp_garp_lower_prio_repeat vrrp_garp_master_delay vrrp_garp_master_refresh
        vrrp_garp_master_refresh_repeat vrrp_garp_master_repeat vrrp_gna_interval
        vrrp_mcast_group4 vrrp_mcast_group6 vrrp_process_name vrrp_rlimit_rtime
        vrrp_rlimit_rttime vrrp_startup_delay vrrp_version
        """
    ),
    "vrrp_instance": _names(
        """
        advert_int debug down_timer_adverts garp_lower_prio_delay garp_lower_prio_repeat
        garp_master_delay garp_master_refresh garp_master_refresh_repeat garp_master_repeat
        interface lvs_sync_daemon_interface mcast_dst_ip mcast_src_ip notify notify_backup
        notify_fault notify_master notify_master_rx_lower_pri notify_stop preempt_delay
        priority state unicast_src_ip unicast_ttl version virtual_router_id vrf
        """
    ),
    "authentication": _names("auth_pass auth_type"),
    "vrrp_script": _names("fall interval rise timeout user weight"),
    "vrrp_track_process": _names("delay fork_delay process quorum quorum_max terminate_delay"),
    "vrrp_sync_group": _names("notify notify_backup notify_fault notify_master notify_stop"),
}
ENDS_WITHOUT_VALUE = {(block, name) for block, names in _ENDS.items() for name in names}
