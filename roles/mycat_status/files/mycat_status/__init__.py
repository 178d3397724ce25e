# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell over HTTP whether the MyCat on this host can take clients.

``mycat_status --config FILE`` answers on the sockets it inherits: a connected one on fd 0 (xinetd,
``wait = no``), a listening one on fd 0 (xinetd, ``wait = yes``) or those of systemd (LISTEN_FDS).
200 ready, 503 not ready, 404 draining, 400 for what is not HTTP. Whatever cannot be told is a 503.

How it works. One thread, the event loop (``server``), owns every socket of a client. A deep check
(``checks``) blocks, so it runs in a thread of its own, one at a time; all who ask meanwhile wait
for that one result. A check carries a deadline into each of its steps, and the loop keeps a
watchdog over the check, so that even a step that ignores its deadline ends in a 503. What one
check has to know of those before it is in ``memory``.

Needs Python 3.8 and its standard library. It logs in to MyCat by itself and not through a database
driver because no driver bounds a whole login and query by one deadline. Imports are few and cheap,
for with xinetd's ``wait = no`` each probe pays for them: hence ``_thread``, and no ``ipaddress``,
``typing`` or ``dataclasses``. That it is a package and not one file costs such a probe 0.6 ms of
30 (median of 150 each, Python 3.11).
"""
