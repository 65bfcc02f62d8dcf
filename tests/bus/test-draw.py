#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
guestmapctl draw: in a terminal, as SVG, and what a page has in it.

With GUESTMAP_UPDATE set, what is compared with files is written to them instead.
"""

import json
import os
import pathlib
import re
import xml.etree.ElementTree

from draw_world import HOSTILE, change, corpus, hostile, many, root, run, side_by_side, small

GOLDEN = pathlib.Path(root) / "tests/golden/draw"
SVG = "{http://www.w3.org/2000/svg}"


def golden(name, text):
    path = GOLDEN / name
    if "GUESTMAP_UPDATE" in os.environ:
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(text.split("\n")):
        if number >= len(expected) or line != expected[number]:
            yield f"{path.name}:{number + 1}: not as it was: {line}"
            return
    if len(expected) > len(text.split("\n")):
        yield f"{path.name}: more lines than come now"


def check_terminal(world):
    yield from golden("small-80.txt", world.does("draw", "small"))
    yield from golden("small-ascii.txt", world.does("draw", "small", "memory", "--no-legend",
                                                    columns=60, locale="C"))
    yield from golden("pc-80.txt", world.does("draw", "rich"))
    yield from golden("pc-200.txt", world.does("draw", "rich", "memory", columns=200))


def check_legend(world):
    """Of what is hidden it speaks only where something is."""
    world.does("create", "lone", "--accelerator=none")
    world.does("add", "lone", "dev", "mmio", "4096", "system", "0")
    for vm, wanted in ("lone", False), ("small", True):
        if ("narrow strips" in world.does("draw", vm)) != wanted:
            yield f"{vm}: the legend is not of what is there"


def check_narrow(world):
    """Nothing is wider than the terminal, nor continued below the addresses."""
    for columns in (50, 30, 10):
        lines = world.does("draw", "rich", "memory", "--no-legend", columns=columns).split("\n")
        if max(map(len, lines)) != columns:
            yield f"{columns} columns: a line of {max(map(len, lines))}"
        wide = world.does("draw", "rich", "memory", "--no-legend", columns=1000).split("\n")
        # Wide bars are longer; addresses are what both have.
        if [line[:9] for line in lines] != [line[:9] for line in wide]:
            yield f"{columns} columns: other lines than with room for all"
    drawn = world.does("draw", "small", "memory", columns=20).split("\n")
    if max(map(len, drawn[drawn.index(""):])) > 20:
        yield "20 columns: the legend is wider"


def check_ways(world):
    """Of ways side by side to one section the first is named, and that there are others."""
    drawn = world.does("draw", "beside", columns=120)
    if "ram  partly via w1 and others" not in drawn:
        yield f"not how ram is seen: {drawn}"
    world.does("disable", "beside", "w3")
    drawn = world.does("draw", "beside", columns=120)
    if "ram  partly via w1" not in drawn or "others" in drawn:
        yield f"others, but there is w1 only: {drawn}"


def plain(text):
    return re.sub(r"\033\[[0-9;]*m", "", text)


def check_colours(world):
    for columns in (80, 200):
        text = world.on_terminal("draw", "rich", columns=columns)
        lines = plain(text).split("\n")
        if "\033[32m" not in text or "\033[1m" not in text:
            yield f"{columns} columns: no colour on a terminal"
        if plain(text) != world.does("draw", "rich", columns=columns):
            yield f"{columns} columns: not what comes in a pipe, but for colours"
        longest = max(map(len, lines))
        if longest > columns:
            yield f"{columns} columns: a line of {longest}"
        if longest < 72:
            yield f"{columns} columns: {longest} are used"


def texts(svg):
    return ["".join(element.itertext()) for element in
            xml.etree.ElementTree.fromstring(svg).iter(SVG + "text")]


def check_svg(world):
    svg = world.does("draw", "small", "memory", "--svg=-")
    yield from golden("small.svg", svg)
    for word in ("0xa0000", "2^64", "64KiB", "romd",
                 "bios  over pc.ram via ram-low (priority 2 over 0)"):
        if word not in texts(svg):
            yield f"no text {word!r}"
    if re.search(r"https?:(?!//www\.w3\.org/2000/svg)|@import|<script|href", svg):
        yield "something from outside, or a script"
    svg = world.does("draw", "rich", "--svg=-")
    names = {section["region"] for view in flat(world, "rich").values()
             for section in view["sections"]}
    there = "\n".join(texts(svg))
    yield from (f"rich: no {name}" for name in names if name not in there)


def isolated(name):
    return name if name.isascii() else f"\u2068{name}\u2069"


def check_hostile(world):
    drawn = world.does("draw", "hostile", columns=300)
    svg = world.does("draw", "hostile", "--svg=-")
    # Long names are broken, without loss.
    there = "".join(texts(svg)).replace(" ", "")
    for name in HOSTILE:
        name = isolated(name)
        if " ".join(name.split()) not in " ".join(drawn.split()):
            yield f"terminal: {name!r} is missing"
        if name.replace(" ", "") not in there:
            yield f"SVG: {name!r} is missing"
    if "?" not in world.does("draw", "hostile", locale="C") or \
            not world.does("draw", "hostile", locale="C").isascii():
        yield "ASCII: other characters come, or none are replaced"
    data = page_data(world.does("draw", "hostile", "--html=-"))
    names = {region["name"] for region in data["regions"]}
    yield from (f"page: {name!r} is missing" for name in HOSTILE if name not in names)


def page_data(page):
    """The JSON in a page; it ends where a browser takes it to end."""
    begin = page.index('id="data">') + len('id="data">')
    return json.loads(page[begin:page.index("</script", begin)])


def flat(world, vm):
    return json.loads(world.does("flat", vm, "--json=short"))


def check_older(world):
    """What draw takes for the older view is what flat printed then."""
    before = flat(world, "moved")["memory"]
    after = json.dumps(corpus("pc-rich-20-all-bus0-mem32-bars-at-e0000000"))
    world.does("apply", "moved", "-", input=after)
    generation = before["generation"]
    data = page_data(world.does("draw", "moved", f"--from={generation}", "--html=-"))
    bands = next(space["bands"] for space in data["spaces"] if space["name"] == "memory")
    changes = {band[4] for band in bands}
    if not {"", "added", "removed"} <= changes:
        yield f"only changes {changes}"
    covered = 0
    for first, last, _, was, _, _, _ in bands:
        first, last = int(first, 16), int(last, 16)
        held = [section for section in before["sections"]
                if int(section["first"], 16) <= last and int(section["last"], 16) >= first]
        if not was and held:
            yield f"{first:#x}: {held[0]['region']} was there"
        if not was:
            continue
        covered += last - first + 1
        offset = int(held[0]["offset"], 16) + first - int(held[0]["first"], 16) if held else -1
        if len(held) != 1 or [was[0], int(was[1], 16), was[2]] != \
                [held[0]["region"], offset, held[0]["kind"]]:
            yield f"{first:#x}: {was} instead of {held}"
    if covered != sum(int(s["last"], 16) - int(s["first"], 16) + 1 for s in before["sections"]):
        yield "the older view is not covered"
    legend = world.does("draw", "moved", "memory", f"--from={generation}").split("\n\n")[-1]
    if "╳╳ nothing any more\n+ added  - removed" not in legend:
        yield f"the legend does not tell of changes: {legend}"
    yield from golden("compared-100.txt",
                      world.does("draw", "small", "memory", "--from=1", columns=100))


def check_refusals(world):
    def refused(words, *arguments):
        result = world.run("draw", *arguments)
        if result.returncode != 1 or result.stdout or words not in result.stderr or \
                result.stderr.count("\n") != 1:
            yield f"{arguments}: {result}"

    yield from refused('NoSuchVM: ', "nobody")
    yield from refused('VM "small" has no address space "nowhere"', "small", "nowhere")
    yield from refused('is at generation 3 only', "small", "--from=99")
    yield from refused("generation", "small", "--from=then")
    yield from refused("draw prints no JSON", "small", "--json=short")
    yield from refused("cannot open /nowhere/map.svg: No such file", "small",
                       "--svg=/nowhere/map.svg")
    # What XML cannot have, and no message, is no name.
    result = world.run("create", "none", "--accelerator=none", "--layout=-",
                       input='{"guestmap": 1, "address-spaces": [], "regions": '
                             '[{"name": "\\ufffe", "kind": "ram", "size": 4096}]}')
    if "name" not in result.stderr:
        yield f"a noncharacter in a name: {result}"
    for _ in range(60):
        world.does("disable", "many", "box")
        world.does("enable", "many", "box")
        if world.run("draw", "many", "--from=2", "--html=-").returncode:
            break
    yield from refused('address space "memory": what has changed since generation 2 is not known',
                       "many", "--from=2")


run({"small": small(),
     "rich": corpus("pc-rich-03-bus-master-enabled"),
     "moved": corpus("pc-rich-04-moved-with-roms"),
     "hostile": hostile(),
     "many": many(),
     "beside": side_by_side()},
    [("a terminal's picture is as it was", check_terminal),
     ("the legend is of what is there", check_legend),
     ("a narrow terminal's lines are cut", check_narrow),
     ("of ways side by side the first is named", check_ways),
     ("colours come on a terminal only, whose columns are used", check_colours),
     ("the SVG is as it was, and has all names", check_svg),
     ("names of any kind are drawn", check_hostile),
     ("the map changes", change),
     ("the older view is what it was", check_older),
     ("what cannot be drawn is refused", check_refusals)])
