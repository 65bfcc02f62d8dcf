/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A kernel for tests: /dev/kvm made of a slot table and two bus tables
 *
 * Linked with --wrap for open64, ioctl and close. It answers as told, keeps slots and what is on
 * the buses by the rules and writes down every ioctl that changes one of them, a line each, so that
 * a test compares what was asked of it with what should have been:
 *
 *   slot first-last host flags        "3 100000-1fffff 7000 ro log"
 *   slot delete                       "3 delete"
 *   ioeventfd bus address/length      "+ memory fe000000/4 =7", "- ports 70/0"
 *   zone bus first-last               "+ memory zone a0000-affff"
 *   … and then, where it was refused  "3 delete: Invalid argument"
 *
 * Guests are played by mock_kvm_write(). The ioctls that fetch what they wrote are written down on
 * demand: "3 dirty", "3 clear 64+128".
 */

#include "lib/kvm/bus-table.h"
#include "lib/kvm/slot-table.h"

typedef struct MockKVM MockKVM;

struct MockKVM {
        /* Answers; a negative one is an errno. */
        int open;
        int api_version;
        int create_vm;
        int create_vm_interrupted; /* so many times EINTR first */
        int user_memory;
        int nr_memslots;
        int readonly_mem;
        int coalesced_mmio;
        int coalesced_pio;
        int manual_dirty_log;
        int cpuid;            /* 0, or an errno */
        uint32_t cpuid_width; /* EAX of leaf 0x80000008; 0: there is no such leaf */

        /* The n-th ioctl to be written down, from 1, fails, and so many behind it; 0: none. */
        unsigned fail_at;
        unsigned fail_more;
        int fail_errno;

        bool notes_dirty; /* writes down what is asked about the dirty log, too */
        int dirty_errno;  /* every KVM_GET_DIRTY_LOG fails with it; 0: none */
        struct {
                uint32_t slot;
                uint64_t page;
        } dirty[16];
        unsigned n_dirty;

        unsigned n_calls; /* of those since mock_kvm_take() */
        int n_fds;        /* open now: of /dev/kvm and VMs */

        Accelerator limits;
        SlotTable table;
        BusTable memory;
        BusTable ports;
        char *text;
        size_t length;
        FILE *stream;
};

extern MockKVM mock_kvm;

/* A machine that has everything, 48 bits wide; no slots. For cmocka's setup and teardown. */
int mock_kvm_setup(void **state);
/* Fails if a descriptor is left. */
int mock_kvm_teardown(void **state);

/* A guest writes to a page of a slot; nothing happens if it is not logged. */
void mock_kvm_write(uint32_t slot, uint64_t page);

/* What was written down since the last call; the caller frees. */
char *mock_kvm_take(void);
/* The slots there are, in the form of the calls that make them, ascending by address. */
char *mock_kvm_slots(void);
/* What is on the buses, likewise: ioeventfds of memory, its zones, then the same of ports. */
char *mock_kvm_devices(void);
