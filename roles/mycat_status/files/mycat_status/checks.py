# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deep check of MyCat: what is asked, and the verdict."""

from __future__ import annotations

import time

from mycat_status.memory import Memory
from mycat_status.mysql import CheckFailed, Deadline, MySQL, MySQLError, Refused
from mycat_status.process import listener, status_command_pid, wrapper_pid
from mycat_status.settings import SettingError, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping

    from mycat_status.mysql import Rows

LOGIN_MAX_AGE = 30.0  # seconds; a login writes two lines into mycat.log, a query none
MANAGER_MAX_AGE = 5.0  # seconds, where it is only reported; MyCat looks at its data hosts every 10
MANAGER_SHARE = 0.25  # of the check's time, where it is only reported
HEARTBEAT_PATIENCE = 5.0  # seconds in which a data host has to answer MyCat
READY_PAUSE = 10.0  # seconds between two questions for readiness that MyCat answers with an error
# and where it does not answer. A MyCat that was started without its database waits 60 s for it, in
# the thread that serves the client; a second query would hold a second thread, and the answers of
# the database, which come in by these threads, would find none.
READY_PAUSE_UNANSWERED = 65.0
ACCESS_DENIED, SERVER_SHUTDOWN, STATEMENT_REFUSED = 1045, 1053, 3012


class Manager:
    """What MyCat's manager port says.

    server: ON or OFF; None where ``error`` says why it is not known.
    backends: {data host: does MyCat reach it?}
    """

    def __init__(
        self, server: str | None, backends: Mapping[str, bool], error: str | None = None
    ) -> None:
        self.server, self.backends, self.error = server, backends, error


class Verdict:
    """The result of one deep check.

    seconds: {check: duration}. warnings: {cause: sentence}, of what is wrong and no reason to fail.
    """

    def __init__(self, up: bool = True, reason: str = "") -> None:
        self.up, self.reason = up, reason
        self.offline = False  # MyCat wants no new clients
        self.seconds: dict[str, float] = {}
        self.warnings: dict[str, str] = {}
        self.manager: Manager | None = None

    def fail(self, reason: str) -> None:
        self.up, self.reason = False, reason


class Login:
    """A session at one of MyCat's ports, kept for the next check where the process stays."""

    def __init__(self, settings: Settings, port: int) -> None:
        self._settings, self._port = settings, port
        self._mysql: MySQL | None = None
        self._made = 0.0

    @property
    def kept(self) -> bool:
        return self._mysql is not None

    def ask(self, statement: str, deadline: Deadline) -> Rows:
        """Raise CheckFailed; MySQLError where MyCat answered with an error."""
        kept = self.kept
        try:
            return self._session(deadline).query(statement)
        except MySQLError:
            raise
        except CheckFailed:
            self.drop()
            if not kept or deadline.passed():
                raise
        return self.ask(statement, deadline)  # MyCat had ended the kept session

    def _session(self, deadline: Deadline) -> MySQL:
        if self._mysql is None:
            settings = self._settings
            mysql = MySQL(settings.host, self._port, deadline)
            try:
                mysql.greet(settings.marker)
                mysql.login(*settings.credentials())
            except BaseException:
                mysql.close()
                raise
            self._mysql, self._made = mysql, time.monotonic()
        self._mysql.deadline = deadline
        return self._mysql

    def end_if_old(self, max_age: float) -> None:
        """Log out of a session older than ``max_age`` seconds, so that the login is tried again."""
        if self._mysql is not None and time.monotonic() - self._made >= max_age:
            try:  # noqa: SIM105 - contextlib would cost every probe a millisecond
                self._mysql.quit()
            except CheckFailed:
                pass  # then it ends without a goodbye
            self.drop()

    def drop(self) -> None:
        if self._mysql is not None:
            self._mysql.close()
            self._mysql = None


class Checker:
    """The deep checks of one process; never two at once.

    keep: whether sessions are kept from check to check.
    """

    def __init__(self, settings: Settings, keep: bool) -> None:
        self._settings = settings
        self._memory = Memory(settings.memory_file)
        self._login_max_age = LOGIN_MAX_AGE if keep else 0.0
        self._sql = Login(settings, settings.sql_port)
        self._manager = Login(settings, settings.manager_port) if settings.manager_port else None
        self._manager_seen: Manager | None = None
        self._manager_seen_at = 0.0

    def check(self) -> Verdict:
        """Run the checks of the level, each including the ones before it."""
        settings = self._settings
        deadline = Deadline(settings.check_timeout)
        verdict = Verdict()
        self._memory.load()
        sign = listener(settings.host, settings.sql_port)
        pid, evidence = self._process(deadline, verdict)
        sign = sign or (f"process {pid}" if pid else "unknown")
        if verdict.up:
            gone = self._ports(deadline, verdict, sign)
            if gone:
                self._memory.forget()  # who comes next has to be shown ready
            if evidence and gone:
                verdict.reason += "; " + evidence
            elif evidence:
                verdict.warnings["pid"] = evidence
        self._end_sessions()
        self._judge(verdict, sign)
        return verdict

    def _judge(self, verdict: Verdict, sign: str) -> None:
        now = time.monotonic()
        if verdict.up:
            recovering = self._memory.passed(sign, now, self._settings.recovery_time)
            if recovering:
                verdict.fail(recovering)
        else:
            self._memory.failed(sign, verdict.reason, now)
        problem = self._memory.save()
        if problem:
            verdict.warnings["memory"] = problem

    def _process(self, deadline: Deadline, verdict: Verdict) -> tuple[int, str]:
        """(the wrapper's process id or 0, what is wrong with it or "").

        Where a port is asked, too, that is evidence only: started by ``startup_nowrap.sh`` MyCat
        has no wrapper, and systemd unlinks the pid file of one that runs when a second start fails.
        """
        settings = self._settings
        pid, evidence = 0, ""
        started = time.monotonic()
        try:
            if settings.use_status_command:
                pid = status_command_pid(settings, deadline)
            else:
                pid = wrapper_pid(settings)
            verdict.reason = f"process {pid} runs"
        except CheckFailed as failure:
            evidence = str(failure)
            if settings.level == "process" or settings.require_pid:
                verdict.fail(f"process: {evidence}")
        verdict.seconds["process"] = round(time.monotonic() - started, 6)
        return pid, evidence

    def _ports(self, deadline: Deadline, verdict: Verdict, sign: str) -> bool:
        """The checks that talk to MyCat, until one fails. True where its SQL port is closed."""
        level = self._settings.level
        checks: list[tuple[str, Callable[[Deadline, Verdict, str], None]]] = []
        # A new login begins with the greeting; a kept one would not see that nobody accepts.
        if level == "greeting" or (level == "query" and self._sql.kept):
            checks.append(("greeting", self._greeting))
        if level == "query":
            checks.append(("query", self._query))
            checks.append(("ready", self._ready))
        if self._manager:
            checks.append(("manager", self._look_at_manager))
        for name, check in checks:
            started = time.monotonic()
            try:
                check(deadline, verdict, sign)
            except (CheckFailed, SettingError) as failure:
                verdict.fail(f"{name}: {self._explained(failure)}")
                return isinstance(failure, Refused) and name != "manager"
            finally:
                verdict.seconds[name] = round(time.monotonic() - started, 6)
        return False

    def _greeting(self, deadline: Deadline, verdict: Verdict, _sign: str) -> None:
        settings = self._settings
        with MySQL(settings.host, settings.sql_port, deadline) as mysql:
            verdict.reason = f"greets as {mysql.greet(settings.marker)}"

    def _query(self, deadline: Deadline, verdict: Verdict, _sign: str) -> None:
        """``show mycat_status``, which MyCat answers by itself."""
        try:
            rows = self._sql.ask("show mycat_status", deadline)
        except MySQLError as error:
            if error.number != SERVER_SHUTDOWN:
                raise
            verdict.offline = True
            verdict.reason = "offline was said on the manager port"
            verdict.warnings["offline"] = verdict.reason
            return
        status = rows[0].get("STATUS") if rows else None
        if status != "ON":
            raise CheckFailed(f"show mycat_status says {status}")
        verdict.reason = "show mycat_status is ON"

    def _ready(self, deadline: Deadline, _verdict: Verdict, sign: str) -> None:
        """Once for each start of MyCat: does a query go through to a database?"""
        memory = self._memory
        if memory.ready is not None and memory.ready != sign:
            if memory.asked != sign or time.monotonic() >= memory.ask_at:
                self._ask_for_readiness(deadline, sign)
            if memory.unready:
                raise CheckFailed(f"no query has gone through to a database yet: {memory.unready}")
        memory.ready = sign

    def _ask_for_readiness(self, deadline: Deadline, sign: str) -> None:
        memory, statement = self._memory, self._settings.ready_query
        memory.asked, memory.unready = sign, f"{statement}: is being asked"
        memory.ask_at = time.monotonic() + READY_PAUSE_UNANSWERED
        memory.save()  # so that no other process asks meanwhile
        try:
            self._sql.ask(statement, deadline)
        except CheckFailed as failure:
            if isinstance(failure, MySQLError):
                memory.ask_at = time.monotonic() + READY_PAUSE
            memory.unready = f"{statement}: {self._explained(failure)}"
        else:
            memory.ask_at, memory.unready = 0.0, ""

    def _look_at_manager(self, deadline: Deadline, verdict: Verdict, _sign: str) -> None:
        """Fill ``verdict.manager``. Raise CheckFailed only where the data hosts are required."""
        settings = self._settings
        if settings.require_backends:
            verdict.manager = self._ask_manager(deadline)
            down = sorted(name for name, up in verdict.manager.backends.items() if not up)
            if down or not verdict.manager.backends:
                raise CheckFailed("data hosts down: " + (", ".join(down) or "all"))
            return
        now = time.monotonic()
        if self._manager_seen is None or now - self._manager_seen_at >= MANAGER_MAX_AGE:
            try:
                share = Deadline(min(deadline.left(), settings.check_timeout * MANAGER_SHARE))
                self._manager_seen = self._ask_manager(share)
            except (CheckFailed, SettingError) as failure:
                self._manager_seen = Manager(None, {}, self._explained(failure))
            self._manager_seen_at = now
        verdict.manager = self._manager_seen

    def _ask_manager(self, deadline: Deadline) -> Manager:
        login = self._manager
        assert login
        server = login.ask("show @@server", deadline)
        heartbeat = login.ask("show @@heartbeat", deadline)
        now = time.monotonic()
        backends = {str(row.get("NAME")): self._is_reached(row, now) for row in heartbeat}
        return Manager(server[0].get("STATUS") if server else None, backends)

    def _is_reached(self, row: Mapping[str, str | None], now: float) -> bool:
        """Does MyCat reach the data host of this row of ``show @@heartbeat``?

        RS_CODE alone turns to -1 after three failures (22 s), and stays 1 where the host hangs.
        """
        name, last_answer = str(row.get("NAME")), row.get("LAST_ACTIVE_TIME") or ""
        checking = self._memory.checking
        if row.get("STATUS") != "checking":
            checking.pop(name, None)
        elif checking.get(name, ("", 0.0))[0] != last_answer:
            checking[name] = (last_answer, now)
        hangs = name in checking and now - checking[name][1] >= HEARTBEAT_PATIENCE
        # It begins with the year, and is the year 1970 before the first answer.
        answered = last_answer > "1971"
        return row.get("RS_CODE") == "1" and row.get("RETRY") == "0" and answered and not hangs

    def _explained(self, failure: Exception) -> str:
        """The failure, with what to change in MyCat's server.xml where that is the cause."""
        if isinstance(failure, MySQLError) and failure.number in (ACCESS_DENIED, STATEMENT_REFUSED):
            user, _password = self._settings.credentials()
            return f"{failure}; server.xml: {server_xml_hint(failure, user)}"
        return str(failure)

    def _end_sessions(self) -> None:
        for login in (self._sql, self._manager):
            if login:
                login.end_if_old(self._login_max_age)


def server_xml_hint(error: MySQLError, user: str) -> str:
    """What in MyCat's server.xml makes it answer with ``error``, a 1045 or 3012."""
    if error.number == STATEMENT_REFUSED:
        return (
            "<firewall><blacklist> refuses it, set showAllow and selelctAllow to true (sic), "
            f'or <privileges> of <user name="{user}"> do'
        )
    if "with host" in error.message:
        host = error.message.rpartition("with host ")[2].strip("'")
        return (
            f'<user name="{user}"> is missing, '
            f'or <firewall><whitehost> lacks <host host="{host}" user="{user}"/>'
        )
    if "degraded" in error.message:
        return f'<property name="benchmark"> of <user name="{user}"> is reached'
    return f'<property name="password"> of <user name="{user}"> is another'
