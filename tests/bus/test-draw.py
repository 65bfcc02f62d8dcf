#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
guestmapctl draw: in a terminal, as SVG, and as a page in a browser, on a bus of its own.

    test-draw.py GUESTMAPCTL GUESTMAPD GUESTMAP-VMD SOURCE-ROOT

With GUESTMAP_UPDATE set, what is compared with files is written to them instead. With
GUESTMAP_SCREENSHOTS, screenshots of the page are put into that folder.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
import xml.etree.ElementTree

ctl_path, guestmapd, vmd, root = (os.path.abspath(word) for word in sys.argv[1:])
sys.path.append(root + "/tests/check")

import browser  # pylint: disable=wrong-import-position
import tap  # pylint: disable=wrong-import-position

GOLDEN = pathlib.Path(root) / "tests/golden/draw"
CORPUS = pathlib.Path(root) / "tests/golden/corpus"
SVG = "{http://www.w3.org/2000/svg}"

# Whatever is UTF-8 without control characters, of 128 bytes at most.
HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "]]>&amp;<b a='\"'>",
           "'\"`${x}\\u003c", "\u202egnp.exe\u2066", "שלום-مرحبا", "\u2028\u2029",
           "  blanks  ", "@MAP@", "__proto__", "x" * 128, "\U0001f409" * 32, "日本語" * 14]


def eventually(check, what):
    for _ in range(200):
        if check():
            return
        time.sleep(0.05)
    raise TimeoutError(what)


class World:
    """A bus with guestmapd on it, and the VMs that are drawn."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="guestmap-draw.")
        self.path = pathlib.Path(self._folder.name)
        self._address = f"unix:path={self.path}/bus"
        self._processes = []
        (self.path / "run").mkdir(mode=0o700)
        (self.path / "bus.conf").write_text(
            f"<busconfig><type>session</type><listen>{self._address}</listen>"
            "<policy context='default'><allow send_destination='*' eavesdrop='true'/>"
            "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>", encoding="utf-8")
        self._spawn("dbus-daemon", f"--config-file={self.path}/bus.conf", "--nofork", "--nopidfile")
        eventually((self.path / "bus").exists, "no bus")
        self._spawn(guestmapd, "--user", f"--address={self._address}", f"--vmd={vmd}",
                    f"--runtime-dir={self.path}/run", f"--state-dir={self.path}/state")
        eventually(lambda: self.run("list").returncode == 0, "no guestmapd")

    def _spawn(self, *words):
        log = open(self.path / "log", "ab")  # pylint: disable=consider-using-with
        self._processes.append(subprocess.Popen(words, stdout=log, stderr=log))
        log.close()

    def end(self):
        for name in self.run("list", "--no-legend").stdout.split("\n"):
            if name:
                self.run("destroy", name.split()[0])
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)
        self._folder.cleanup()

    def words(self, *words):
        return [ctl_path, f"--address={self._address}", *words]

    def run(self, *words, columns=80, locale="C.UTF-8", **more):
        return subprocess.run(self.words(*words), capture_output=True, text=True, encoding="utf-8",
                              timeout=60, check=False,
                              env={**os.environ, "COLUMNS": str(columns), "LC_ALL": locale}, **more)

    def does(self, *words, **more):
        result = self.run(*words, **more)
        if result.returncode or result.stderr:
            raise RuntimeError(f"{' '.join(words)}: {result.stderr}")
        return result.stdout

    def create(self, name, layout):
        self.does("create", name, "--accelerator=none", "--layout=-", input=json.dumps(layout))

    def on_terminal(self, *words, columns):
        """What comes on a terminal of so many columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        for name in ("COLUMNS", "NO_COLOR"):
            environment.pop(name, None)
        text = b""
        with subprocess.Popen(self.words(*words, "--no-pager"), stdout=theirs, stderr=theirs,
                              stdin=theirs, env=environment):
            os.close(theirs)
            while True:
                try:
                    data = os.read(ours, 1 << 16)
                except OSError:
                    data = b""
                if not data:
                    break
                text += data
        os.close(ours)
        return text.decode().replace("\r\n", "\n")


def small():
    region = {"parent": "system"}
    return {"guestmap": 1, "regions": [
        {"name": "system", "kind": "container", "size": "2^64"},
        {"name": "pc.ram", "kind": "ram", "size": "3GiB"},
        {"name": "ram-low", "kind": "alias", "target": "pc.ram", "size": "2GiB", "offset": 0,
         **region},
        {"name": "ram-high", "kind": "alias", "target": "pc.ram", "target-offset": "2GiB",
         "size": "1GiB", "offset": "4GiB", **region},
        {"name": "vga", "kind": "mmio", "size": "128KiB", "offset": "0xa0000", "priority": 1,
         **region},
        {"name": "bios", "kind": "rom", "size": "64KiB", "offset": "0xf0000", "priority": 2,
         **region},
        {"name": "flash", "kind": "romd", "size": "4MiB", "offset": "0xffc00000", **region},
        {"name": "lost", "kind": "reserved", "size": "4KiB", "offset": "0xfed00000", **region},
        {"name": "card", "kind": "mmio", "size": "64KiB", "offset": "0xe0000000", **region},
        {"name": "status", "kind": "mmio", "size": 8, "parent": "card", "offset": "0x100"}],
        "address-spaces": [{"name": "memory", "root": "system"}, {"name": "dma", "root": "system"}]}


def hostile():
    regions = [{"name": "system", "kind": "container", "size": "2^64"}]
    for i, name in enumerate(HOSTILE):
        regions.append({"name": name, "kind": "mmio", "size": "0x1000", "parent": "system",
                        "offset": hex(i * 0x2000)})
    regions.append({"name": "ram", "kind": "ram", "size": "0x1000"})
    regions.append({"name": "\u202dalias<i>", "kind": "alias", "target": "ram", "size": "0x1000",
                    "parent": "system", "offset": 0, "priority": -1})
    return {"guestmap": 1, "regions": regions,
            "address-spaces": [{"name": "<b>space", "root": "system"}]}


def many():
    regions = [{"name": "system", "kind": "container", "size": "2^64"},
               {"name": "box", "kind": "container", "size": "2^64", "parent": "system",
                "offset": 0}]
    regions += [{"name": f"device{i:05}", "kind": "mmio", "size": "0x1000", "parent": "box",
                 "offset": hex(i * 0x3000)} for i in range(10000)]
    return {"guestmap": 1, "regions": regions,
            "address-spaces": [{"name": "memory", "root": "system"}]}


def corpus(name):
    return json.loads((CORPUS / (name + ".json")).read_text(encoding="utf-8"))["layout"]


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
    for first, last, _, was, _, _ in bands:
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


def save(world, name, *words):
    path = str(world.path / name)
    output = world.does("draw", *words, f"--html={path}")
    if output:
        raise RuntimeError("something was printed beside the page")
    return path


class Browsed:
    """A page for a case: closed in any case, its screenshot kept if that is wanted."""

    def __init__(self, path):
        if not browser.find():
            raise tap.Skip("no chromium here")
        self._path = path

    def __enter__(self):
        self.page = browser.Page(self._path)
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


def change(world):
    world.does("disable", "small", "vga")
    world.does("add", "small", "nic", "mmio", "64KiB", "system", "0xc0000000")
    return []


def problems(check, world):
    """What a case finds; what ends it early is found, too."""
    try:
        yield from check(world)
    except tap.Skip:
        raise
    except Exception as error:  # pylint: disable=broad-exception-caught
        yield f"{type(error).__name__}: {error}"


def main():
    world = World()
    try:
        world.create("small", small())
        world.create("rich", corpus("pc-rich-03-bus-master-enabled"))
        world.create("moved", corpus("pc-rich-04-moved-with-roms"))
        world.create("hostile", hostile())
        world.create("many", many())
        cases = [("a terminal's picture is as it was", check_terminal),
                 ("the legend is of what is there", check_legend),
                 ("colours come on a terminal only, whose columns are used", check_colours),
                 ("the SVG is as it was, and has all names", check_svg),
                 ("names of any kind are drawn", check_hostile),
                 ("the page has all regions, zooms, finds and selects", check_page),
                 ("the page has colours, light and dark", check_pixels),
                 ("names of any kind are text on the page", check_hostile_page),
                 ("the page bears ten thousand sections", check_many)]
        later = [("the older view is what it was", check_older),
                 ("the page compares two generations", check_compared),
                 ("what cannot be drawn is refused", check_refusals)]

        tap.run([(name, lambda check=check: problems(check, world))
                 for name, check in [*cases, ("the map changes", change), *later]])
    finally:
        world.end()


main()
