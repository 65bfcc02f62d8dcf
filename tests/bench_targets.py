# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the benchmarks should come to: TARGETS, and a table of what they came to.

A target is words, what of the rows counts, and a limit that it should not exceed or fall below;
without one it is told for comparison. Where several rows count, the worst one does.
"""

from typing import Callable, NamedTuple, Optional, Union

US = 1e3
MS = 1e6


class Worst:
    """The greatest (or the least, of=min) value of a field in the rows that match."""

    def __init__(self, field, of=max, **match):
        self.field, self.of, self.match = field, of, match

    def __call__(self, rows):
        found = [row[self.field] for row in rows
                 if all(row.get(key) == value for key, value in self.match.items())]
        return self.of(found) if found else None

    def parts(self):
        return [self]


class Ratio:
    """One of these by another."""

    def __init__(self, above, below):
        self.above, self.below = above, below

    def __call__(self, rows):
        return self.above(rows) / self.below(rows) if self.below(rows) else None

    def parts(self):
        return [self.above, self.below]


class Target(NamedTuple):
    words: str
    measure: Union[Worst, Ratio]
    most: Optional[Callable] = None
    least: Optional[Callable] = None
    unit: str = ""


def fixed(value):
    return lambda rows: value


def commits(siblings):
    return Worst("median_ns", bench="commit", siblings=siblings)


def first_render(field, regions):
    return Worst(field, bench="render", regions=regions, background=False)


def lookup(field, of=max, **match):
    return Worst(field, of, bench="lookup", sections=10000, addresses="random", **match)


def trip(words):
    return Worst("median_ns", bench="vcpu", trip=words)


def handled(words):
    return Worst("median_ns", bench="handler", read=words)


def slot(words, held, field="median_ns"):
    return Worst(field, bench="vcpu", change=words, held=held)


def kick(field):
    return slot("nothing: the kick", True, field)


TARGETS = [
    Target("commit of one region among 1,000, median",
           commits(1000), most=fixed(5 * US), unit="ns"),
    Target("commit of one region among 1,000,000, median: 15 us or 3 times the above",
           commits(1000000), most=lambda rows: max(15 * US, 3 * (commits(1000)(rows) or 0)),
           unit="ns"),
    Target("the same with 20 address spaces, by one",
           Worst("per_one_space", bench="spaces", spaces=20), most=fixed(1.2)),
    Target("first render of 1,000,000 regions",
           first_render("render_ns", 1000000), most=fixed(1000 * MS), unit="ns"),
    Target("the whole of its commit",
           first_render("commit_ns", 1000000), most=fixed(1000 * MS), unit="ns"),
    Target("first render of 1,000,000 by that of 100,000",
           Ratio(first_render("render_ns", 1000000), first_render("render_ns", 100000)),
           most=fixed(12)),
    Target("the whole of the one commit by that of the other",
           Ratio(first_render("commit_ns", 1000000), first_render("commit_ns", 100000)),
           most=fixed(12)),
    Target("memory per region, tree and view, 1,000,000 regions in one commit",
           Worst("heap_bytes_per_region", bench="memory", commits="one", sections=1000000),
           most=fixed(400), unit="bytes"),
    Target("the same, a commit for each",
           Worst("heap_bytes_per_region", bench="memory", commits="each", sections=1000000),
           most=fixed(400), unit="bytes"),
    Target("look-up among 10,000 sections, random addresses",
           lookup("median_ns", readers=1, commits_per_s=0), most=fixed(40), unit="ns"),
    Target("two readers by one",
           lookup("throughput_ratio", of=min, readers=2), least=fixed(1.8)),
    Target("one reader beside a writer by one alone",
           lookup("cost_ratio", readers=1), most=fixed(1.15)),
    Target("unchanged bytes remapped by a chipset's change, once slots are cut",
           Worst("bytes_unchanged", bench="slots", commits=1), most=fixed(0), unit="bytes"),
    Target("steps of real machines with more slot operations than sections changed",
           Worst("steps_over", bench="slot-run"), most=fixed(0)),
    Target("GetFlatView of 10,000 sections by a bare service's answer",
           Worst("per_bare", bench="flat-view", sections=10000), most=fixed(2.5)),
    Target("Dump of 100,000 sections",
           Worst("median_ns", bench="dump", sections=100000), most=fixed(15 * MS), unit="ns"),
    Target("1,000 VMs are back after guestmapd was killed",
           Worst("recovered_ns", bench="recovery", vms=1000), most=fixed(2000 * MS), unit="ns"),
    Target("a guest's longest rest meanwhile (its reader's, too)",
           Worst("still_ns", bench="recovery", guest=True), unit="ns"),
    Target("a call that a VM answers, through guestmapd, by one that guestmapd answers",
           Worst("per_manager_call", bench="bus", what="vm-call"), most=fixed(1.7)),
    Target("a Ping on a connection of one's own by the bus driver's Ping",
           Worst("per_bus_ping", bench="bus", what="direct-ping"), most=fixed(1)),
    Target("a Map call on a connection of one's own by the bus driver's Ping",
           Worst("per_bus_ping", bench="bus", what="direct-map-call"), most=fixed(1)),
    Target("a call that guestmapd answers, beside another client's flood of them, 99 %",
           Worst("p99_ns", bench="flood", flood="manager", call="manager"), most=fixed(10 * MS),
           unit="ns"),
    Target("a call that a VM answers, beside another client's flood of them, 99 %",
           Worst("p99_ns", bench="flood", flood="vm", call="vm"), most=fixed(10 * MS), unit="ns"),
    Target("a call that the bus answers, beside another client's flood of them, 99 %",
           Worst("p99_ns", bench="flood", flood="bus", call="bus"), unit="ns"),
    Target("an exit to a latch and back by a bare KVM_RUN's",
           Ratio(trip("latch"), trip("bare KVM_RUN")), most=fixed(1.3)),
    Target("a read from a handler's socket by a bare ping-pong, without the exit",
           Ratio(handled("socket"), handled("bare socket")), most=fixed(1.5)),
    Target("a slot replaced with the vCPU held by beside it, median",
           Ratio(slot("a slot replaced", True), slot("a slot replaced", False)), most=fixed(1)),
    Target("a slot added with the vCPU held by beside it (which is how it is done)",
           Ratio(slot("a slot created", True), slot("a slot created", False))),
    Target("the pause for a slot that is replaced, median",
           slot("a slot replaced", True), unit="ns"),
    Target("the kick alone, median", kick("median_ns"), unit="ns"),
    Target("the pause for a slot that is replaced, worst",
           slot("a slot replaced", True, "worst_ns"), unit="ns"),
    Target("the kick alone, worst", kick("worst_ns"), unit="ns"),
    Target("dirty sync of 16 GiB, of which the guest wrote 1 %",
           Worst("median_ns", bench="dirty", operation="sync", mib=16384), unit="ns"),
    Target("KVM_GET_DIRTY_LOG alone",
           Worst("median_ns", bench="dirty", operation="ioctl", mib=16384), unit="ns"),
]


def number(value, unit):
    if unit == "ns":
        value, unit = ((value / MS, "ms") if value >= MS else
                       (value / US, "us") if value >= US else (value, "ns"))
    return f"{round(value, 2):g} {unit}".rstrip()


def verdict(target, rows):
    """Limit, measured, whether it is met: in words."""
    measured = target.measure(rows)
    if not (target.most or target.least):
        return "", "-" if measured is None else number(measured, target.unit), ""
    limit = (target.most or target.least)(rows)
    shown = f"{'<=' if target.most else '>='} {number(limit, target.unit)}"
    if measured is None:
        return shown, "-", "not measured"
    met = measured <= limit if target.most else measured >= limit
    return shown, number(measured, target.unit), "met" if met else "NOT met"


def summary(rows):
    """Lines of a table: a target each."""
    lines = [("target", "limit", "measured", "")]
    lines += [(target.words, *verdict(target, rows)) for target in TARGETS]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
            for line in lines]
