# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whose rule it is that something follows, for the checks in this folder.

"Source: …." ends the comment, in the words that guestmap-memory(7), SOURCES, explains. A D-Bus
member without one has that of its interface, a function that of the comment at its header's head.
"""

import re
import xml.dom.minidom

FORMS = (r"QEMU's (?:docs/[\w./-]+|\w+(?:\(\))?(?:, \w+\(\))*)", r"KVM_\w+(?:, KVM_\w+)*",
         r"\w+\(\d[a-z]*\)", r"/(?:sys|proc)/[\w./-]+", r"liburcu", r"D-Bus specification",
         r"OpenMetrics 1\.0", r"Intel SDM", r"RFC \d+", r"this project")
MEMBERS = ("interface", "method", "property", "signal")


def comment_before(element):
    """The comment before an element of introspection XML, or None."""
    node = element.previousSibling
    while node is not None and node.nodeType == node.TEXT_NODE and not node.data.strip():
        node = node.previousSibling
    return node.data if node is not None and node.nodeType == node.COMMENT_NODE else None


def named(comment):
    """The sources that end a comment, without the full stop; "" if there are none."""
    found = re.search(r"^[ *]*Source: (.*)\.[\s*/]*\Z", comment or "", re.MULTILINE | re.DOTALL)
    return re.sub(r"\s[\s*]*", " ", found[1]) if found else ""


def unknown(source):
    """Those that are of no known form."""
    return [piece for piece in source.split("; ")
            if not any(re.fullmatch(form, piece) for form in FORMS)]


def comments_of(path):
    """By the name of the interface and of each member."""
    document = xml.dom.minidom.parse(str(path))
    return {element.getAttribute("name"): comment_before(element) or "" for tag in MEMBERS
            for element in document.getElementsByTagName(tag)}


def of_interface(path):
    """The name of the interface and of each member whose comment names sources, with these."""
    return {name: named(comment) for name, comment in comments_of(path).items()
            if "Source:" in comment}


def of_header(path):
    """What the comment at its head names, the one behind the licence; then what others in it do."""
    comments = re.findall(r"/\*.*?\*/", path.read_text(encoding="utf-8"), re.DOTALL)
    return [named(comments[1])] + [named(text) for text in comments[2:] if "Source:" in text]
