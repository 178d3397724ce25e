# Copyright: mycat.ha maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.mycat.ha.plugins.action.cluster_report import PAGE
from ansible_collections.mycat.ha.plugins.module_utils.report import page as pages
from ansible_collections.mycat.ha.plugins.module_utils.report.page import drawing, page, parts
from faults import CASES, all_drain, kill_haproxy, lose, maintenance, silence_all
from pair import STARTED, VIP, Pair, broken, main, mycat, report, server

HOSTILE = "<script>alert('x')</script> & \"it\" `<img src=x onerror=y>`"
# What a page could take from elsewhere, or run.
FORBIDDEN_TAGS = {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
VOID = {"meta", "rect", "line"}


class Reader(HTMLParser):
    """The tags of a page, checked for their order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


def read(pair: Pair, **more: Any) -> Reader:
    return Reader(page(report(pair), PAGE.read_text("utf-8"), **more))


def boxes(pair: Pair) -> dict[str, tuple[str, str]]:
    return {box.name: (box.word, box.look) for box in drawing(main(pair)).boxes}


def lines(pair: Pair) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (line.upper.name, line.lower.name): (line.word, line.look)
        for line in drawing(main(pair)).lines
    }


def taken(host: str, *, last: str) -> Pair:
    """Both load balancers have noted who had the address, and why it moved."""
    pair, moved = Pair(), STARTED - 4000
    rows = {
        "lb1": [("MASTER", moved - 5000, "first"), ("FAULT", moved, last)],
        "lb2": [("MASTER", moved, "no better load balancer was heard")],
    }
    for name, noted in rows.items():
        pair.states[name]["history"] = [
            {"instance": "mycat_1", "state": state, "time": time, "cause": cause}
            for state, time, cause in noted
        ]
    assert main(pair)["moves"][-1]["to"] == host
    return pair


def test_a_good_pair_says_so_and_shows_nothing_red() -> None:
    found = read(Pair())
    assert "Every virtual IP serves, and redundancy is whole." in found.text
    assert "What is wrong" not in found.text
    shown = [attrs.get("class") or "" for _tag, attrs in found.tags]
    assert not [one for one in shown if re.search(r"\b(bad|error|degraded|warning)\b", one)]


@pytest.mark.parametrize("name", CASES)
def test_each_problem_is_told_with_what_to_do(name: str) -> None:
    breaks, kind, _severity, _host, _what, _fix = CASES[name]
    pair = broken(*breaks)
    (problem, *_more) = [one for one in main(pair)["problems"] if one["kind"] == kind]
    text = read(pair).text
    for told in (problem["what"].rstrip("."), problem["fix"]):
        assert re.sub(r"\s+", " ", told.replace("`", "")) in text


def test_words_of_hosts_stay_words() -> None:
    def hostile(pair: Pair) -> None:
        pair.states["mycat1"] = mycat(1, "down", HOSTILE)
        pair.row("mycat1", HOSTILE, HOSTILE, HOSTILE)
        pair.states["lb1"]["problems"] = [HOSTILE]
        pair.instance("lb1", name=HOSTILE, state=HOSTILE, since=HOSTILE)
        pair.states["lb1"]["haproxy"]["version"] = HOSTILE
        pair.states["lb1"]["keepalived"]["version"] = HOSTILE

    pair = taken("lb2", last=HOSTILE)
    hostile(pair)
    found = read(pair, failures=[HOSTILE])
    assert not {tag for tag, _attrs in found.tags} & FORBIDDEN_TAGS
    assert not [name for _tag, attrs in found.tags for name in attrs if name.startswith("on")]
    assert HOSTILE.replace("`", "") in found.text


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(report(Pair()), PAGE.read_text("utf-8"))
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=", text)
    assert "default-src 'none'" in text


def test_it_fits_light_and_dark_and_a_telephone() -> None:
    text = page(report(Pair()), PAGE.read_text("utf-8"))
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    # What is left of 360 pixels beside the borders of page and sheet.
    assert drawing(main(Pair())).width + 4 <= 360 - 2 * (16 + 1 + 16)


def test_the_address_stands_on_its_holder() -> None:
    assert lines(Pair())[VIP, "lb2"] == ("", "holder good")
    assert (VIP, "lb1") not in lines(Pair())
    two = broken(
        lambda pair: pair.give_vip("lb1"), lambda pair: pair.instance("lb1", state="MASTER")
    )
    assert {lines(two)[VIP, name] for name in ("lb1", "lb2")} == {("", "holder bad")}
    nobody = broken(lambda pair: pair.fault("lb1", "lb2"), silence_all)
    assert boxes(nobody)[VIP] == ("nobody has it", "bad")
    assert not [line for line in lines(nobody) if line[0] == VIP]
    stranger = broken(lambda pair: pair.give_vip("mycat2"))
    assert lines(stranger)[VIP, "mycat2"] == ("", "holder bad")


def test_a_line_is_red_where_a_mycat_is_not_up() -> None:
    pair = broken(lambda pair: pair.row("mycat1", "DOWN", "L7STS", on="lb1"))
    assert lines(pair)["lb1", "mycat1"] == ("DOWN", "bad")
    assert lines(pair)["lb2", "mycat1"] == ("", "good")
    assert lines(broken(all_drain))["lb1", "mycat1"] == ("NOLB", "aside")
    unknown = broken(lambda pair: pair.row("mycat1", "", ""))
    assert lines(unknown)["lb1", "mycat1"] == ("absent", "bad")


def test_hosts_look_as_they_are() -> None:
    assert boxes(broken(kill_haproxy("lb1")))["lb1"] == ("HAProxy down", "bad")
    assert boxes(broken(maintenance("lb1")))["lb1"] == ("maintenance", "aside")
    assert boxes(broken(lose("lb1")))["lb1"] == ("no answer", "unknown")
    assert boxes(broken(lose("mycat1")))["mycat1"] == ("no answer", "unknown")
    assert boxes(broken(all_drain))["mycat1"] == ("draining", "aside")
    assert boxes(broken(lambda pair: pair.fault("lb1")))["lb1"] == ("FAULT", "bad")
    assert boxes(Pair())["lb2"] == ("MASTER", "good")


def test_the_moves_are_told_newest_first_with_their_causes() -> None:
    text = read(taken("lb2", last="HAProxy is down")).text
    newest = text.index(f"{VIP} from lb1 to lb2: HAProxy is down (lb1)")
    assert newest < text.index(f"{VIP} from nobody to lb1")


def test_boxes_of_a_large_cluster_do_not_overlap() -> None:
    def grow(pair: Pair) -> None:
        for number in range(3, 9):
            pair.states[f"mycat{number}"] = mycat(number)
            pair.main["mycats"].append(f"mycat{number}")
            for name in ("lb1", "lb2"):
                pair.states[name]["haproxy"]["servers"].append(server(f"mycat{number}"))

    found = drawing(main(broken(grow)))
    row = sorted(box.x for box in found.boxes if box.name.startswith("mycat"))
    assert len(row) == 8
    assert all(after - before > pages.BOX_WIDTH for before, after in zip(row, row[1:]))
    assert row[0] >= 0
    assert row[-1] + pages.BOX_WIDTH <= found.width


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"failures": ["lb1: no space left"]}, "The run failed."),
        ({}, "A virtual IP does not serve."),
    ],
)
def test_the_first_sentence_tells_the_worst(more: dict[str, Any], said: str) -> None:
    found = read(broken(silence_all), **more)
    assert said in found.text


def test_redundancy_that_may_be_missing_is_no_failure() -> None:
    pair = broken(maintenance("lb1"))
    assert "Every virtual IP serves, but redundancy is missing." in read(pair).text
    pair.main["allow_degraded"] = True
    assert "Redundancy is missing, as the inventory allows." in read(pair).text


def test_a_page_that_is_written_anew_is_read_anew() -> None:
    def refresh(found: Reader) -> list[str | None]:
        return [
            attrs["content"] for _tag, attrs in found.tags if attrs.get("http-equiv") == "refresh"
        ]

    assert refresh(read(Pair())) == []
    assert refresh(read(Pair(), every=2.5)) == ["3"]


def test_commands_are_told_apart_from_words() -> None:
    assert parts("Run `a b`, then `c`.") == [
        *((False, "Run "), (True, "a b"), (False, ", then "), (True, "c"), (False, ".")),
    ]
