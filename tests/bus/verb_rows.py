# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A row for each verb of guestmapctl: words that do, and words that do not.

The good words are tried in this order, on what SCENE makes; {id} is an open transaction, {patch} a
patch, {tree} what a QEMU printed, {dir} a directory.
"""

import dataclasses

LOOK, CHANGE = "look", "change"


@dataclasses.dataclass(frozen=True)
class Row:
    verb: str
    good: str       # arguments that do
    bad: str        # and some that do not
    why: str        # what is said about those, from its beginning; a regular expression
    right: str = CHANGE     # without polkit: anybody may look, the owner and root may change
    denied: str = "AccessDenied: .*(root may|polkit does not)"  # what a stranger is told
    status: int = 0         # exit status of the good ones
    kvm: bool = False       # needs /dev/kvm to do
    manager: bool = False   # asks guestmapd only, and no VM
    offline: bool = False   # asks nobody
    lasts: bool = False     # until it is interrupted, and outlives the service
    json: bool = True       # prints JSON, if that is wanted
    absent: str = ""        # what it prints, and succeeds, where there is no service


# What there is before the first row: guestmapctl's words, a line each.
SCENE = """
create vm --accelerator=none
add vm ram ram 1MiB system 0 --dirty-log
add vm dev mmio 4KiB system 16MiB
ioeventfd add vm dev 0x20 0
add vm spare mmio 4KiB
space add vm dma system
add vm dimm ram 1MiB system 64MiB
create doomed --accelerator=none
"""
KVM_SCENE = """
create guest
add guest ram ram 1MiB system 0
vcpu add guest 0 long 0x80000
write guest memory 0x1000 e471f4
vcpu registers guest 0 rip=0x1000
"""

ROWS = [
    Row("list", "", "vm", 'list: unexpected argument "vm"', LOOK, manager=True),
    Row("create", "new --accelerator=none", "../new", "InvalidName: ", manager=True),
    Row("destroy", "doomed", "none", "NoSuchVM: ", manager=True),
    Row("show", "vm ram", "vm none", "NoSuchRegion: ", LOOK),
    Row("fsck", "vm", "none", "NoSuchVM: ", LOOK, manager=True),
    Row("top", "--batch --iterations=1", "--iterations=x", 'iterations "x" ', LOOK, manager=True),
    Row("metrics", "", "--format=tape", "--format=tape", LOOK, manager=True,
        json=False, absent="guestmap_up 0"),
    Row("tree", "vm", "none", "NoSuchVM: ", LOOK),
    Row("flat", "vm memory", "vm none", "NoSuchAddressSpace: ", LOOK),
    Row("find", "vm memory 0x10", "vm memory 0x200000", "Unassigned: ", LOOK),
    Row("draw", "vm", "vm none", 'VM "vm" has no address space "none"', LOOK,
        json=False),
    Row("slots", "vm", "none", "NoSuchVM: ", LOOK),
    Row("changes", "vm memory 1", "vm none 1", "NoSuchAddressSpace: ", LOOK),
    Row("monitor", "vm", "none", "NoSuchVM: ", LOOK, lasts=True),
    Row("read", "vm memory 0 16", "vm memory 0x200000 16", "Unassigned: "),
    Row("write", "vm memory 0 c0ffee", "vm memory 0 coffee", '"coffee" is not bytes in hex'),
    Row("dirty", "vm ram", "vm dev", "InvalidKind: |NotSupported: "),
    Row("vcpu add", "guest 1", "guest 1 loud", "InvalidArgs: ", kvm=True),
    Row("vcpu remove", "guest 1", "guest 9", "NoSuchVCPU: ", kvm=True),
    Row("vcpu list", "guest", "none", "NoSuchVM: ", LOOK, kvm=True),
    Row("vcpu registers", "guest 0", "guest 9", "NoSuchVCPU: ", kvm=True),
    Row("vcpu step", "guest 0", "guest 9", "NoSuchVCPU: ", kvm=True),
    Row("pause", "guest", "none", "NoSuchVM: ", kvm=True),
    Row("vcpu start", "guest 0", "guest 9", "NoSuchVCPU: ", kvm=True),
    Row("vcpu stop", "guest 0", "guest 9", "NoSuchVCPU: ", kvm=True),
    Row("resume", "guest", "none", "NoSuchVM: ", kvm=True),
    Row("add", "vm new ram 1MiB", "vm new tape 1MiB", "InvalidKind: "),
    # Nothing is being prepared, and that is what it says: test-client-plug.sh has the rest.
    Row("cancel", "vm dimm", "none dimm", "NoSuchVM: ", status=1),
    Row("alias", "vm low ram 0 4KiB system 2MiB", "vm low none 0 4KiB", "NoSuchRegion: "),
    Row("remove", "vm new", "vm system", "InUse: "),
    Row("enable", "vm spare", "vm none", "NoSuchRegion: "),
    Row("disable", "vm spare", "vm none", "NoSuchRegion: "),
    Row("move", "vm spare system 32MiB", "vm system system 0", "WouldLoop: "),
    Row("set", "vm spare size=8KiB", "vm spare colour=red", 'no property "colour" can be set'),
    Row("space add", "vm other system", "vm other none", "NoSuchRegion: "),
    Row("space remove", "vm other", "vm none", "NoSuchAddressSpace: "),
    Row("ioeventfd add", "vm dev 0x10 4 7", "vm ram 0x10 4", "InvalidKind: "),
    Row("ioeventfd remove", "vm dev 0x10 4 7", "vm dev 0x18 4", "NoSuchIOEventFD: "),
    Row("ioeventfd list", "vm dev", "vm none", "NoSuchRegion: ", LOOK),
    Row("ioeventfd wait", "vm dev 0x20 0 --timeout=0", "vm dev 0x28 4", "NoSuchIOEventFD: ",
        status=2),
    Row("coalesced add", "vm dev 0x100 0x100", "vm ram 0 4", "InvalidKind: "),
    Row("coalesced clear", "vm dev", "vm none", "NoSuchRegion: "),
    Row("handler", "vm dev constant 1", "vm dev magic", "InvalidArgs: "),
    Row("plug", "vm --size=1MiB", "vm --size=1MiB --align=0x3000", "InvalidArgs: "),
    Row("unplug", "vm dimm", "vm dev", 'region "dev" is not plugged RAM'),
    Row("export", "vm", "none", "NoSuchVM: ", LOOK),
    Row("apply", "vm {patch}", "vm {dir}/none", "cannot open "),
    Row("diff", "vm {patch}", "vm /dev/null", "InvalidDocument: "),
    Row("import-mtree", "{tree}", "{dir}/none", "cannot open ", LOOK, offline=True),
    Row("begin", "vm", "vm --timeout=soon", 'timeout "soon" is not a time'),
    Row("preview", "vm {id}", "vm 999", "TransactionClosed: ",
        denied="TransactionClosed: "),
    Row("commit", "vm {id}", "vm x", '"x" is not the ID of a transaction',
        denied="TransactionClosed: "),
    Row("abort", "vm {id}", "vm 999", "TransactionClosed: ",
        denied="TransactionClosed: "),
    Row("transactions", "vm", "none", "NoSuchVM: ", LOOK),
]
