#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
guestmapctl draw: its page, in a browser.

With GUESTMAP_SCREENSHOTS, screenshots of the page are put into that folder.
"""

import os
import pathlib
import re

import browser
from draw_world import HOSTILE, change, corpus, hostile, many, run, side_by_side, small, tap


def save(world, name, *words):
    path = str(world.path / name)
    output = world.does("draw", *words, f"--html={path}")
    if output:
        raise RuntimeError("something was printed beside the page")
    return path


class Browsed:
    """A page for a case: closed in any case, its screenshot kept if that is wanted."""

    def __init__(self, path, **size):
        if not browser.find():
            raise tap.Skip("no chromium here")
        self._path = path
        self._size = size

    def __enter__(self):
        self.page = browser.Page(self._path, **self._size)
        self.page.painted()
        return self.page

    def __exit__(self, *error):
        folder = os.environ.get("GUESTMAP_SCREENSHOTS")
        if folder and not error[0]:
            self.page.screenshot(f"{folder}/{pathlib.Path(self._path).stem}.png")
        self.page.close()


def shown(page):
    """The first and the last address that are shown."""
    label = page.value("$('canvas').ariaLabel")
    return [int(word, 16) for word in re.findall("0x[0-9a-f]+", label)]


def listed(page):
    """The names in the tree, from its top to its end."""
    return page.value("""(async () => {
        const tree = $("tree"), names = [];
        for (tree.scrollTop = 0;; tree.scrollTop += tree.clientHeight) {
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            for (const row of document.querySelectorAll("[role=treeitem]"))
                names[row.ariaPosInSet - 1] = row.querySelector("bdi").textContent;
            if (tree.scrollTop + tree.clientHeight >= tree.scrollHeight)
                return names;
        }
    })()""")


def middle(page):
    return page.value("(box => [box.x + 300, box.y + box.height / 3])"
                      "($('canvas').getBoundingClientRect())")


def check_page(world):
    with Browsed(save(world, "rich.html", "rich")) as page:
        names = {region["name"] for region in corpus("pc-rich-03-bus-master-enabled")["regions"]}
        yield from (f"not in the tree: {name}" for name in names ^ set(listed(page)))
        if shown(page) != [0, 2**64 - 1]:
            yield f"at first it shows {shown(page)}"
        spaces = page.value("[...$('space').options].map(option => option.textContent)")
        if sorted(spaces) != sorted(space["name"] for space in
                                    corpus("pc-rich-03-bus-master-enabled")["address-spaces"]):
            yield f"spaces {spaces}"
        yield from check_zoom(page)
        yield from check_search(page)
        yield from check_choice(page)
        yield from page.errors


def check_zoom(page):
    x, y = middle(page)
    sizes = []
    for _ in range(200):
        first, last = shown(page)
        sizes.append(last - first + 1)
        if sizes[-1] == 4096:
            break
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    if sizes[-1] != 4096 or first % 4096 or sorted(sizes, reverse=True) != sizes:
        yield f"the wheel does not lead to one page: {sizes}"
    for _ in range(200):
        if shown(page) == [0, 2**64 - 1]:
            break
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=300)
    if shown(page) != [0, 2**64 - 1]:
        yield f"the wheel does not lead back: {shown(page)}"
    page.key("1")
    first, last = shown(page)
    if last - first + 1 != 4096:
        yield "key 1 does not show one page"
    page.key("-")
    if shown(page)[1] - shown(page)[0] + 1 <= 4096:
        yield "key - does not zoom out"
    page.key("0")
    if shown(page) != [0, 2**64 - 1]:
        yield "key 0 does not show all"
    page.key("t")
    page.key("+")
    if not 2**62 < shown(page)[1] - shown(page)[0] < 2**64 - 1:
        yield "true to scale, + does not zoom"
    page.key("t")
    page.key("0")


def check_search(page):
    page.key("/")
    page.type("hpet")
    if "hpet" not in page.value("$('found').textContent"):
        yield "hpet is not found"
    page.key("Enter")
    first, last = shown(page)
    if not first < 0xfed00000 < last < 2**40:
        yield f"found hpet, but {first:#x}-{last:#x} is shown"
    if "hpet" not in page.value("$('tree').querySelector('[aria-selected=true]').textContent"):
        yield "hpet is found, but not selected in the tree"
    page.value("$('query').value = ''")
    page.key("/")
    page.type("0xfec00010")
    page.key("Enter")
    if "ioapic" not in page.value("$('detail').textContent"):
        yield "the address of the ioapic is not found"
    page.value("$('query').value = ''")
    page.key("/")
    page.type("no such thing")
    if "nothing found" not in page.value("$('found').textContent"):
        yield "nothing is found, and not said"
    page.key("Escape")
    page.key("0")


def check_choice(page):
    """What is chosen in the picture shows in the tree, and the reverse; hovering tells more."""
    x, y = page.value("(box => [box.x + 300, box.y + 11])($('canvas').getBoundingClientRect())")
    page.click(x, y)
    if "pc.ram" not in page.value("$('tree').querySelector('[aria-selected=true]').textContent"):
        yield "a click on pc.ram does not select it in the tree"
    page.mouse("mouseMoved", x, y)
    tip = page.value("$('tip').hidden ? '' : $('tip').textContent")
    for word in ("0x0 – 0x9ffff", "ram", "pc.ram", "priority", "system › ram-below-4g → pc.ram"):
        if word not in tip:
            yield f"no {word!r} in {tip!r}"
    page.value("$('tree').scrollTop = 0")
    page.painted()
    page.value("$('tree').focus()")
    page.key("Home")
    page.key("ArrowDown")
    chosen = page.value("$('tree').querySelector('[aria-selected=true]').textContent")
    if "ram-below-4g" not in chosen or \
            "0x0 – 0x1fffffff" not in page.value("$('detail').textContent"):
        yield f"in the tree {chosen!r}, but not where it is seen"


def find(page, text):
    page.value("$('query').value = ''")
    page.key("/")
    page.type(text)
    page.key("Enter")


def check_parts(world):
    """Of a section that several ways lead to, each part has its own."""
    with Browsed(save(world, "beside.html", "beside")) as page:
        for name, seen in (("w1", "seen0x0 – 0xffff"), ("w3", "seen0x20000 – 0x2ffff"),
                           ("ram", "seen0x0 – 0xfffff")):
            find(page, name)
            detail = page.value("$('detail').firstChild.textContent")
            if not detail.endswith(seen):
                yield f"{name}: no {seen!r} in {detail!r}"
        for address, path in ((0xffff, "system › w1 → ram 0x0 – 0xffff"),
                              (0x10000, "system › ram 0x10000 – 0x1ffff"),
                              (0x20000, "system › w3 → ram 0x20000 – 0x2ffff")):
            find(page, hex(address))
            detail = page.value("$('detail').textContent")
            if path not in detail or detail.count("path") != 1:
                yield f"{address:#x}: no {path!r} in {detail!r}"
        find(page, "0x20000")
        page.key("1")
        page.mouse("mouseMoved", *middle(page))
        tip = page.value("$('tip').textContent")
        if "system › w3 → ram" not in tip or "w1" in tip:
            yield f"the pointer is at w3, and {tip!r} is said"
        yield from page.errors
    with Browsed(save(world, "pc.html", "pc")) as page:
        for name, seen in (("pam-pci#25", "0xc0000 – 0xc3fff"), ("pam-pci#23", "0xc4000")):
            find(page, name)
            detail = page.value("$('detail').firstChild.textContent")
            if seen not in detail:
                yield f"{name}: no {seen} in {detail!r}"
        yield from page.errors


def check_finding(world):
    with Browsed(save(world, "found.html", "rich")) as page:
        find(page, "pci")
        if page.value("$('detail').querySelector('b').textContent") != "pci":
            yield "pci is not the first that is found as pci"
        find(page, "00000000fec00010")
        if "0x10 at 0xfec00010" not in page.value("$('detail').textContent"):
            yield "an address as tree prints it is not found"
        for name, place in (("pc.ram", ", not placed"), ("system", ", root of memory"),
                            ("ioapic", " at 0xfec00000, priority ")):
            find(page, name)
            if place not in page.value("$('detail').textContent"):
                yield f"{name} is not {place!r}"
        yield from page.errors


def check_room(world):
    """Nothing has to be scrolled on a usual screen, and a narrow one has room for names."""
    for name in ("rich", "pc"):
        with Browsed(save(world, f"room-{name}.html", name)) as page:
            yield from page.value("""bands.filter(band => {
                choose(band, leafOf(band) || null);
                return $("detail").scrollHeight > $("detail").clientHeight;
            }).map(band => `no room for the detail of ${hex(band.first)}`)""")
            yield from page.errors
    with Browsed(save(world, "narrow.html", "rich"), width=390) as page:
        texts = page.value("""(() => {
            const texts = [], real = context.fillText;
            context.fillText = (text, ...more) => {
                texts.push(text);
                real.call(context, text, ...more);
            };
            draw();
            context.fillText = real;
            return texts;
        })()""")
        if "pc.ram" not in texts or "…" in texts:
            yield f"no names on a narrow screen: {texts}"
        yield from page.errors


def colour(page, name):
    return tuple(page.value(f"colours.{name}.match(/\\w\\w/g).map(part => parseInt(part, 16))"))


def check_pixels(world):
    """Light and dark, the picture has the colours of what it shows."""
    with Browsed(save(world, "small.html", "small")) as page:
        for scheme, paper in (("light", (255, 255, 255)), ("dark", (13, 17, 23))):
            page.call("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])
            page.painted()
            pixels = [pixel for row in page.screenshot() for pixel in row]
            share = {name: pixels.count(colour(page, name)) / len(pixels)
                     for name in ("ram", "rom", "romd", "mmio", "reserved", "paper")}
            yield from (f"{scheme}: hardly any {name}: {part}" for name, part in share.items()
                        if part < 0.002)
            if pixels.count(paper) / len(pixels) < 0.2:
                yield f"{scheme}: the paper is of another colour"
        yield from page.errors


def check_hostile_page(world):
    with Browsed(save(world, "hostile.html", "hostile")) as page:
        names = set(listed(page))
        yield from (f"not in the tree: {name!r}" for name in HOSTILE if name not in names)
        if page.value("document.querySelectorAll('script').length") != 2:
            yield "a name has become a script"
        for name in HOSTILE:
            page.value("$('query').value = ''")
            page.key("/")
            page.type(name)
            if name.strip() not in page.value("$('found').textContent"):
                yield f"not found: {name!r}"
            page.key("Enter")
            if name not in page.value("$('detail').textContent"):
                yield f"not in the detail: {name!r}"
            page.key("Escape")
        yield from page.errors


def check_many(world):
    with Browsed(save(world, "many.html", "many")) as page:
        if page.value("bands.filter(band => band.now).length") != 10000:
            yield "not all sections are there"
        if page.value("document.querySelectorAll('[role=treeitem]').length") > 200:
            yield "all rows of the tree are elements"
        page.key("/")
        page.type("device07777")
        page.key("Enter")
        first, last = shown(page)
        if not first <= 7777 * 0x3000 < last < first + 0x8000:
            yield f"device07777 is at {7777 * 0x3000:#x}, shown is {first:#x}-{last:#x}"
        page.key("1")
        page.key("0")
        page.value("$('query').value = ''")
        page.key("/")
        page.type("device0")
        total = page.value("$('found').lastChild.textContent")
        page.key("ArrowDown")
        if "more" not in total or page.value("$('found').lastChild.textContent") != total:
            yield f"how many are found, {total!r}, is forgotten at the next key"
        page.key("Escape")
        if not page.value("(cut => cut.length > 5 && cut.length < 50 && cut.endsWith('…'))"
                          "(shortened('x'.repeat(100), 200))"):
            yield "a text without room does not end in an ellipsis"
        if page.value("shortened('x', 200)") != "x":
            yield "a text with room is cut"
        yield from page.errors


def check_compared(world):
    change(world)
    with Browsed(save(world, "moved.html", "small", "--from=1")) as page:
        about = page.value("document.querySelector('header').textContent")
        if "generation 3 compared to 1" not in about or "2 changes" not in about:
            yield f"it says {about!r}"
        seen = set()
        for _ in range(2):
            page.key("n")
            seen.add(page.value("$('detail').textContent.match(/added|removed|replaced/)[0]"))
        if seen != {"added", "replaced"}:
            yield f"going through the changes one meets {seen}"
        page.key("0")
        page.value("clear()")
        page.painted()
        pixels = [pixel for row in page.screenshot() for pixel in row]
        yield from (f"nothing in the colour of what is {name}" for name in ("added", "replaced")
                    if colour(page, name) not in pixels)
        yield from page.errors


def check_removed(world):
    """What there was in the older generation only is found there."""
    world.does("remove", "small", "lost")
    with Browsed(save(world, "removed.html", "small", "--from=1")) as page:
        find(page, "lost")
        if "was lost (reserved)" not in page.value("$('detail').textContent"):
            yield "a removed region is not found"
        first, last = shown(page)
        if not first <= 0xfed00000 < last < 2**33:
            yield f"lost was at 0xfed00000, shown is {first:#x}-{last:#x}"
        yield from page.errors


run({"small": small(),
     "rich": corpus("pc-rich-03-bus-master-enabled"),
     "hostile": hostile(),
     "many": many(),
     "beside": side_by_side(),
     "pc": corpus("boot-x86_64-pc")},
    [("the page has all regions, zooms, finds and selects", check_page),
     ("a section's parts are found, and have a way each", check_parts),
     ("names and addresses are found as they are printed", check_finding),
     ("there is room on a usual screen, and a narrow one", check_room),
     ("the page has colours, light and dark", check_pixels),
     ("names of any kind are text on the page", check_hostile_page),
     ("the page bears ten thousand sections", check_many),
     ("the page compares two generations", check_compared),
     ("what was removed is found", check_removed)])
