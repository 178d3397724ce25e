# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keywords of keepalived.conf that concern VRRP.

Those of keepalived 2.2.7, with the ones that later versions up to 2.4 added.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = {
    "global_defs": _names(
        """
        process_names process_name vrrp_process_name checker_process_name lvs_process_name
        bfd_process_name router_id notification_email_from smtp_server smtp_helo_name
        smtp_connect_timeout notification_email smtp_alert startup_script startup_script_timeout
        shutdown_script shutdown_script_timeout max_auto_priority min_auto_priority_delay
        smtp_alert_vrrp smtp_alert_checker checker_log_all_failures dynamic_interfaces
        no_email_faults default_interface disable_local_igmp lvs_timeouts lvs_flush
        lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon vrrp_mcast_group4 vrrp_mcast_group6
        vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh
        vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat
        vrrp_down_timer_adverts vrrp_garp_interval vrrp_gna_interval vrrp_min_garp
        vrrp_garp_extra_if vrrp_vmac_garp_intvl vrrp_lower_prio_no_advert
        vrrp_higher_prio_send_advert vrrp_version vrrp_iptables vrrp_ipsets nftables
        nftables_priority nftables_ifindex nftables_ipvs nftables_ipvs_priority
        nftables_ipvs_start_fwmark nftables_counters vrrp_check_unicast_src
        vrrp_skip_check_adv_addr vrrp_strict vrrp_priority vrrp_no_swap vrrp_rt_priority
        vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime notify_fifo notify_fifo_script
        vrrp_notify_fifo vrrp_notify_fifo_script vrrp_notify_priority_changes
        fifo_write_vrrp_states_on_reload lvs_notify_fifo lvs_notify_fifo_script checker_priority
        checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime
        checker_rlimit_rtime bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity
        bfd_rlimit_rttime bfd_rlimit_rtime snmp_socket enable_traps enable_snmp_vrrp
        enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3
        enable_snmp_checker enable_dbus dbus_service_name dbus_no_interface_name script_user
        enable_script_security vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force
        vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs
        lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs
        lvs_netlink_monitor_rcv_bufs_force rs_init_notifies no_checker_emails
        vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_startup_delay vrrp_delay_after_boot
        log_unknown_vrids vmac_prefix vmac_addr_prefix umask random_seed reload_check_config
        reload_time_file reload_repeat reload_file include_check config_save_dir
        tmp_config_directory data_use_instance json_version json_dump_file state_dump_file
        stats_dump_file iproute_etc_dir iproute_usr_dir use_symlink_paths
        snmp_rs_stats_update_interval snmp_vs_stats_update_interval thread_timer_expired
        vrrp_owner_ignore_adverts linkbeat_use_polling net_namespace net_namespace_ipvs
        namespace_with_ipsets use_pid_dir instance child_wait_time
        """
    ),
    "vrrp_instance": _names(
        """
        use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_peer unicast_fault_no_peer
        check_unicast_src old_unicast_checksum native_ipv6 state interface vrf
        dont_track_primary track_interface track_script track_file track_process track_bfd
        mcast_src_ip unicast_src_ip mcast_dst_ip track_src_ip virtual_router_id unicast_ttl
        version priority advert_int virtual_ipaddress virtual_ipaddress_excluded
        promote_secondaries linkbeat_use_polling virtual_routes virtual_rules accept no_accept
        skip_check_adv_addr strict_mode preempt nopreempt preempt_delay debug notify_backup
        notify_master notify_fault notify_stop notify_deleted notify notify_master_rx_lower_pri
        smtp_alert notify_priority_changes lvs_sync_daemon_interface garp_master_delay
        garp_master_refresh garp_master_repeat garp_master_refresh_repeat garp_lower_prio_delay
        garp_lower_prio_repeat down_timer_adverts garp_extra_if vmac_garp_intvl
        lower_prio_no_advert higher_prio_send_advert kernel_rx_buf_size authentication
        no_virtual_ipaddress v3_checksum_as_v2 timer_expired_backup thread_timer_expired
        owner_ignore_adverts auth_hmac
        """
    ),
    "authentication": _names(
        """
        auth_type auth_pass
        """
    ),
    "vrrp_script": _names(
        """
        script interval timeout weight rise fall user init_fail
        """
    ),
    "track_file": _names(
        """
        file weight init_file
        """
    ),
    "vrrp_track_file": _names(
        """
        file weight init_file
        """
    ),
    "vrrp_track_process": _names(
        """
        process param_match weight quorum quorum_max delay terminate_delay fork_delay
        full_command
        """
    ),
    "vrrp_sync_group": _names(
        """
        group track_interface track_script track_file track_process track_bfd notify_backup
        notify_master notify_fault notify_stop notify smtp_alert global_tracking
        sync_group_tracking_weight notify_priority_changes
        """
    ),
}

# Known at the top of a file, but not read: LVS, BFD, static routes, the daemon itself.
OTHER_BLOCKS = _names(
    """
    track_group static_ipaddress static_routes static_rules garp_group linkbeat_interfaces
    interface_up_down_delays SSL virtual_server_group virtual_server bfd_instance
    linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir
    instance child_wait_time
    """
)

# How many words the daemon reads after a keyword; what follows on the line is ignored.
ARGUMENTS = {
    **dict.fromkeys(
        _names(
            """
            state interface virtual_router_id priority advert_int version preempt_delay
            unicast_src_ip mcast_src_ip down_timer_adverts interval timeout rise fall auth_type
            auth_pass vrrp_version
            """
        ),
        1,
    ),
    **dict.fromkeys(
        _names("nopreempt preempt accept no_accept native_ipv6 init_fail enable_script_security"),
        0,
    ),
}
