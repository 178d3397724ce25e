# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP side, over real sockets against the running program."""

from __future__ import annotations

import concurrent.futures
import contextlib
import resource
import shutil
import socket
import threading
import time

import pytest
from lab.bounds import LATE

from conftest import (  # isort: skip
    GET,
    GREETING,
    Answer,
    FakeMyCat,
    connects,
    install,
    listen,
    probe,
    probe_nowait,
    read_all,
    wait_until,
)

METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def endpoint(home, start):
    return start(home.config())


@pytest.fixture
def fake(request):
    def make(*arguments, **options):
        server = FakeMyCat(*arguments, **options)
        request.addfinalizer(server.listener.close)
        return server

    return make


# The three ways to be started


def test_a_connected_socket_on_fd_0(home):
    assert probe_nowait(home.config()).code == 200


def test_a_listening_socket_on_fd_0(home, start):
    endpoint = start(home.config())
    assert [endpoint.probe().code for _ in range(3)] == [200, 200, 200]


def test_systemd_sockets(home, start):
    one, other = listen(), listen("::1")
    addresses = [one.getsockname(), other.getsockname()]
    start(home.config(allow=["127.0.0.1", "::1"]), one, other, systemd=True)
    assert [probe(address[:2]).code for address in addresses] == [200, 200]


def test_ipv4_clients_of_an_ipv6_socket_are_ipv4(home, start):
    listener = socket.create_server(
        ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=16
    )
    endpoint = start(home.config(allow=["127.0.0.0/8"]), listener)
    port = endpoint.address[1]
    assert probe(("127.0.0.1", port)).code == 200
    assert probe(("::1", port)).raw == b""


# Requests


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, id="get"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n", 200, id="official-recipe"),
        pytest.param(b"OPTIONS / HTTP/1.0\r\n\r\n", 200, id="haproxy-default"),
        pytest.param(b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 200, id="post"),
        pytest.param(b"BREW /pot HTTP/1.1\r\n\r\n", 200, id="any-method"),
        pytest.param(b"GET http://a/?q=%20 HTTP/1.1\r\n\r\n", 200, id="absolute-uri"),
        pytest.param(b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 200, id="utf-8-path"),
        pytest.param(b"GET / HTTP/1.0\n\n", 200, id="bare-line-feeds"),
        pytest.param(b"\r\nGET / HTTP/1.0\r\n\r\n", 200, id="empty-line-before"),
        pytest.param(b"GET / HTTP/1.0\r\nX: " + b"x" * 9000, 200, id="headers-too-long"),
        pytest.param(b"GET /" + b"a" * 2000 + b" HTTP/1.0\r\n\r\n", 200, id="longest-line"),
        pytest.param(b"GET /" + b"a" * 2048 + b" HTTP/1.0\r\n\r\n", 400, id="line-too-long"),
        pytest.param(b"A" * 70000, 400, id="endless-method"),
        pytest.param(b"\r\n" * 50, 400, id="endless-empty-lines"),
        pytest.param(b"GET /\r\n\r\n", 400, id="http-0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="http-2"),
        pytest.param(b"GET / HTTP/1.2\r\n\r\n", 400, id="http-1.2"),
        pytest.param(b"GET / http/1.1\r\n\r\n", 400, id="version-in-lower-case"),
        pytest.param(b"GET  / HTTP/1.1\r\n\r\n", 400, id="two-spaces"),
        pytest.param(b" GET / HTTP/1.1\r\n\r\n", 400, id="space-before"),
        pytest.param(b"GET / HTTP/1.1 \r\n\r\n", 400, id="space-behind"),
        pytest.param(b"GET\t/ HTTP/1.1\r\n\r\n", 400, id="tab"),
        pytest.param(b"G\0T / HTTP/1.1\r\n\r\n", 400, id="nul-in-method"),
        pytest.param(b"GET /\0 HTTP/1.1\r\n\r\n", 400, id="nul-in-path"),
        pytest.param(b"GET /\x1b[2J HTTP/1.1\r\n\r\n", 400, id="escape-in-path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="tls"),
        pytest.param(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 400, id="proxy-protocol"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", 400, id="ssh"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", 400, id="an-answer"),
        pytest.param(b"\x03\x00\x00\x00\x03x", 400, id="mysql"),
    ],
)
def test_code_of_a_request(up, request_bytes, code):
    started = time.monotonic()
    answer = up.probe(request_bytes, timeout=LATE)
    assert answer.code == code
    assert time.monotonic() - started < LATE, "it waited for the client's timeout"
    assert answer.json["status"] == ("up" if code == 200 else "error")
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.headers["Connection"] == "close"


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """One endpoint that is up for all the requests of a table, and whose timeout ends none."""
    from conftest import Endpoint, Home

    home = Home(tmp_path_factory.mktemp("up") / "mycat")
    home.up()
    endpoint = Endpoint(home.config(client_timeout=30), listen())
    yield endpoint
    endpoint.stop()
    home.down()


@pytest.mark.parametrize("path", [b"/", b"/metrics"])
def test_head_says_the_same_without_a_body(up, path):
    answer = up.probe(b"HEAD " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.code, answer.body) == (200, "")
    assert int(answer.headers["Content-Length"]) > 100


def test_a_request_in_single_bytes(up):
    with socket.create_connection(up.address, 20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            client.sendall(bytes([byte]))
        assert Answer(read_all(client)).code == 200


@pytest.mark.thorough
def test_clients_that_fall_silent_get_the_verdict_after_a_second(endpoint):
    beginnings = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for answer in pool.map(endpoint.probe, beginnings):
            assert 0.9 < time.monotonic() - started < LATE
            assert answer.code == 200


def test_a_client_that_drips_is_cut_off_all_the_same(home, start):
    endpoint = start(home.config(client_timeout=0.3))
    started = time.monotonic()
    with socket.create_connection(endpoint.address, 20) as client:
        client.settimeout(0.1)
        client.sendall(b"GET /")
        data = b""
        while not data:
            assert time.monotonic() - started < LATE
            client.sendall(b"a")
            with contextlib.suppress(socket.timeout):
                data = client.recv(9999)
        assert data.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_shuts_down_its_side_is_answered_at_once(up):
    started = time.monotonic()
    with socket.create_connection(up.address, 20) as client:
        client.shutdown(socket.SHUT_WR)
        assert Answer(read_all(client)).code == 200
    assert time.monotonic() - started < LATE


def test_a_client_that_only_connects_and_leaves_does_no_harm(up):
    for _ in range(50):
        client = socket.create_connection(up.address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()  # with a reset
    assert up.probe().code == 200


# Verdicts and what goes with them


def test_the_body_of_each_state(home, start):
    endpoint = start(home.config())
    drain = home.path / "drain"
    assert endpoint.probe().json["status"] == "up"

    drain.write_text("ops: kernel update\nsecond line\n")
    answer = endpoint.probe()
    assert (answer.code, answer.json["status"]) == (404, "drain")
    assert answer.json["drain"]["by"] == "ops: kernel update"
    assert answer.json["drain"]["since"].endswith("Z")

    home.down()
    wait_until(lambda: endpoint.probe().code == 503)
    assert endpoint.probe().json["status"] == "down"

    drain.unlink()
    home.up()
    wait_until(lambda: endpoint.probe().code == 200)


def test_drain_outlives_the_process_and_can_be_a_setting(home):
    (home.path / "drain").write_text("")
    assert [probe_nowait(home.config()).code for _ in range(2)] == [404, 404]
    (home.path / "drain").unlink()
    answer = probe_nowait(home.config(drain=True))
    assert (answer.code, answer.json["drain"]["by"]) == (404, "mycat_status_drain")


def test_a_drain_file_that_cannot_be_looked_for_is_down(home):
    (home.path / "file").write_text("")
    answer = probe_nowait(home.config(drain_file=str(home.path / "file/drain")))
    assert (answer.code, answer.json["status"]) == (503, "down")


def test_control_characters_of_the_drain_file_stay_out(home):
    (home.path / "drain").write_bytes(b"a\x1b[2J\xff\x00b\n")
    assert probe_nowait(home.config()).json["drain"]["by"] == "a\\x1b[2J\ufffd\\x00b"


def test_metrics(home, start):
    endpoint = start(home.config())
    endpoint.probe()
    endpoint.probe(b"nonsense\r\n")
    metrics = endpoint.metrics()
    assert metrics["mycat_status_up"] == "1"
    assert metrics['mycat_status_level{level="process"}'] == "1"
    assert metrics['mycat_status_level{level="query"}'] == "0"
    assert metrics['mycat_status_probes_total{code="200"}'] == "1"
    assert metrics['mycat_status_probes_total{code="400"}'] == "1"
    assert 0 < float(metrics['mycat_status_check_seconds{check="process"}']) < 1
    assert abs(float(metrics["mycat_status_last_change_timestamp_seconds"]) - time.time()) < 60
    home.down()
    time.sleep(0.06)
    assert endpoint.metrics()["mycat_status_up"] == "0"


def test_metrics_are_text_for_prometheus_and_only_for_get(up):
    answer = up.probe(METRICS)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert up.probe(b"OPTIONS /metrics HTTP/1.0\r\n\r\n").json["status"] == "up"


# Hard to hurt


def test_addresses_outside_the_allow_list_get_no_verdict(home, start):
    endpoint = start(home.config())
    assert endpoint.probe(source="127.0.0.2").raw == b""
    assert endpoint.probe(METRICS, source="127.0.0.2").raw == b""
    assert endpoint.metrics()["mycat_status_refused_total"] == "2"
    assert probe_nowait(home.config(allow=["192.0.2.0/24"])).raw == b""


@pytest.mark.parametrize(
    ("allow", "code"),
    [
        pytest.param("::1", 200, id="address"),
        pytest.param("0:0:0:0:0:0:0:1", 200, id="another-spelling"),
        pytest.param("::1/128", 200, id="itself-as-prefix"),
        pytest.param("::/64", 200, id="prefix"),
        pytest.param("::/128", None, id="neighbour"),
        pytest.param("2001:db8::/32", None, id="elsewhere"),
        pytest.param("0.0.0.0/0", None, id="all-of-ipv4"),
    ],
)
def test_ipv6_clients(home, start, allow, code):
    endpoint = start(home.config(allow=[allow]), listen("::1"))
    answer = endpoint.probe()
    assert (answer.code if answer.raw else None) == code


@pytest.mark.thorough
def test_a_flood_of_headers_is_cut_off(up):
    """The client that still sends is answered, then dropped: it holds nothing back."""

    def flood(client, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            client.sendall(b"X-Flood: " + b"x" * 65536 + b"\r\n")

    with socket.create_connection(up.address, 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            flood(client, 5)
    assert up.resident_kib() < 25 * 1024
    assert up.probe().code == 200


def test_a_thousand_idle_clients_do_not_delay_a_probe(home, start):
    endpoint = start(home.config(client_timeout=30))
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection(endpoint.address, 20))
        started = time.monotonic()
        assert endpoint.probe(timeout=LATE).code == 200
        assert time.monotonic() - started < LATE
        assert endpoint.resident_kib() < 25 * 1024


def test_more_idle_clients_than_file_descriptors_do_not_lock_a_probe_out(home, start):
    endpoint = start(home.config(client_timeout=30))
    assert endpoint.probe().code == 200
    resource.prlimit(endpoint.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(endpoint.address, 20))
        started = time.monotonic()
        assert [endpoint.probe(timeout=LATE).code for _ in range(5)] == [200] * 5
        assert time.monotonic() - started < LATE


def test_one_deep_check_at_a_time_however_many_ask(home, start, fake):
    mycat = fake(pause=0.3)
    config = home.config(level="greeting", sql_port=mycat.port, max_age=30, check_timeout=20)
    endpoint = start(config)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: endpoint.probe(timeout=20), range(80)))
    assert {answer.code for answer in answers} == {200}
    assert mycat.accepted == 1


@pytest.mark.thorough
def test_a_verdict_is_not_older_than_max_age(home, start, fake):
    mycat = fake()
    config = home.config(level="greeting", sql_port=mycat.port, max_age=0.2, check_timeout=20)
    endpoint = start(config)
    begun = time.monotonic()
    while mycat.accepted < 3:
        assert time.monotonic() - begun < LATE
        assert endpoint.probe(timeout=20).code == 200
    assert mycat.accepted <= 1 + (time.monotonic() - begun) / 0.2, "older ones were not used"
    mycat.chunks = (b"\x10\x00\x00\x00\xff\x10\x04Too many conn",)
    wait_until(lambda: endpoint.probe().code == 503, LATE)


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        pytest.param([bytes([byte]) for byte in GREETING], "no answer within 0.3 s", id="drips"),
        pytest.param([], "no answer within 0.3 s", id="silent"),
        pytest.param([b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"], "does not speak", id="another"),
        pytest.param([b"\xff\xff\xff\x00"], "does not speak", id="giant-packet"),
        pytest.param([b"\x00\x00\x00\x00"], "does not speak", id="empty-packet"),
        pytest.param([b"\x01\x00\x00\x00\x0a"], "does not speak", id="short-greeting"),
        pytest.param(
            [b"\x10\x00\x00\x00\xff\x10\x04Too\x1b many\r\n!!"],
            "error 1040 Too\\x1b many\\x0d\\x0a!!",
            id="error-with-control-characters",
        ),
    ],
)
def test_a_server_that_is_no_ready_mycat(home, fake, chunks, reason):
    mycat = fake(chunks, pause=0.05)
    in_time = 0.3 if "0.3 s" in reason else 2 * LATE
    config = home.config(level="greeting", sql_port=mycat.port, check_timeout=in_time)
    started = time.monotonic()
    answer = probe_nowait(config)
    assert time.monotonic() - started < LATE
    assert answer.code == 503
    assert reason in answer.json["reason"]


def refresher(program, check, timeout=1.0):
    """A Refresher, and an event that is set when a verdict is there."""
    done = threading.Event()
    return program.Refresher(check, 1.0, timeout, done.set), done


def test_a_check_that_ignores_its_deadline_is_given_up(program):
    release = threading.Event()

    def check():
        release.wait()
        return program.Verdict()

    one, done = refresher(program, check, timeout=0.1)
    assert one.current(time.monotonic()) is None
    assert "still runs" in one.current(time.monotonic() + 0.4).reason
    assert one.runs == 1, "a second check was started beside the first"
    release.set()
    assert done.wait(2)
    assert one.current(time.monotonic()).up


def test_a_check_that_raises_is_a_failure_and_not_the_end(program):
    one, done = refresher(program, lambda: 1 // 0)
    one.current(time.monotonic())
    assert done.wait(2)
    assert "ZeroDivisionError" in one.current(time.monotonic()).reason


def test_an_asker_gets_no_failure_twice(program):
    one, done = refresher(program, lambda: program.Verdict(False, "no"))
    one.current(time.monotonic())
    assert done.wait(2)
    now = time.monotonic()
    first = one.current(now)
    assert one.current(now) is first, "another asker is not told the same"
    done.clear()
    assert one.current(now, told=1) is None
    assert one.runs == 1, "the next check was begun without a pause"
    assert one.current(now + 0.11, told=1) is None
    assert one.runs == 2
    assert done.wait(2)
    assert one.current(time.monotonic(), told=1) is not first


def test_an_asker_gets_the_same_success_again(program):
    one, done = refresher(program, program.Verdict)
    one.current(time.monotonic())
    assert done.wait(2)
    assert one.current(time.monotonic(), told=1).up
    assert one.runs == 1


def test_no_log_line_carries_control_characters(program, home):
    (home.path / "drain").write_bytes(b"x\x1b]0;evil\x07\n")
    lines = []
    settings = program.Settings.load(str(home.config()))
    server, client = socket.socketpair()
    with listen() as listener:
        client = socket.create_connection(listener.getsockname(), 20)
        server, _peer = listener.accept()
    with client:
        client.sendall(GET)
        program.Server(settings, lines.append, clients=[server]).run()
        assert Answer(read_all(client)).code == 404
    assert len(lines) == 1
    assert "\\x1b]0;evil\\x07" in lines[0]
    assert lines[0].isprintable()


# A configuration that changes or is wrong


@pytest.mark.thorough
def test_a_new_configuration_ends_the_process_for_a_new_one(home, start):
    endpoint = start(home.config())
    assert endpoint.probe().code == 200
    home.config(level="nonsense")
    time.sleep(1.2)
    assert endpoint.probe().json["level"] == "process", "a wrong configuration was taken"
    home.config(drain=True)
    assert endpoint.process.wait(20) == 0


@pytest.mark.thorough
@pytest.mark.parametrize("replaced", ["bin/mycat_status", "lib/mycat_status/checks.py"])
def test_a_new_program_ends_the_process_for_a_new_one(home, start, tmp_path, replaced):
    folder = tmp_path / "usr"
    endpoint = start(home.config(), program=install(folder))
    assert endpoint.probe().code == 200
    new = tmp_path / "new"
    shutil.copy(folder / replaced, new)
    new.replace(folder / replaced)
    assert endpoint.process.wait(20) == 0


def test_without_a_usable_configuration_nobody_gets_a_verdict(home, start):
    listener = listen()
    address = listener.getsockname()
    client = socket.create_connection(address, 20)
    endpoint = start(home.config(level="nonsense"), listener)
    with client:
        assert read_all(client) == b""
    assert endpoint.process.wait(20) == 2
    assert not connects(address)
