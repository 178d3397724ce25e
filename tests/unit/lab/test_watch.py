import pytest
from lab.watch import Span, Watch, read_change, time_line

HANDOVER = [(2.0, "lb1", False), (2.5, "lb2", True)]


def test_time_line_has_a_span_for_every_set_of_holders():
    assert time_line(0.0, 10.0, ["lb1"], HANDOVER) == [
        Span(0.0, 2.0, frozenset({"lb1"})),
        Span(2.0, 2.5, frozenset()),
        Span(2.5, 10.0, frozenset({"lb2"})),
    ]


def test_change_that_changes_nothing_makes_no_span():
    assert time_line(0.0, 5.0, ["lb1"], [(1.0, "lb1", True)]) == [
        Span(0.0, 5.0, frozenset({"lb1"}))
    ]


def test_longest_gap_and_longest_overlap():
    overlap = [(7.0, "lb1", True), (7.25, "lb2", False)]
    watch = Watch([], "192.0.2.100", time_line(0.0, 10.0, ["lb1"], [*HANDOVER, *overlap]))
    assert watch.longest_without_holder == 0.5
    assert watch.longest_with_several == 0.25


def test_no_gap_is_zero():
    watch = Watch([], "192.0.2.100", time_line(0.0, 10.0, ["lb1"], []))
    assert watch.longest_without_holder == watch.longest_with_several == 0.0


def test_owners_are_those_that_had_the_address_alone_in_order():
    both = [(2.0, "lb2", True), (3.0, "lb1", False), (5.0, "lb2", False), (6.0, "lb2", True)]
    watch = Watch([], "192.0.2.100", time_line(0.0, 10.0, ["lb1"], both))
    assert watch.owners == ["lb1", "lb2"]


# iproute2 6.1
SAID = (
    "[2026-11-23T07:35:53.512050] {}249: eth0    inet 192.0.2.100/24 scope global secondary eth0\\"
    "       valid_lft forever preferred_lft forever"
)


def test_reads_what_the_kernel_reports():
    assert read_change(SAID.format("")) == (1795419353.51205, "192.0.2.100", True)
    assert read_change(SAID.format("Deleted ")) == (1795419353.51205, "192.0.2.100", False)


def test_what_cannot_be_read_is_no_silence():
    with pytest.raises(RuntimeError, match="Timestamp"):
        read_change("Timestamp: Mon Nov 23 07:35:53 2026 512050 usec")
