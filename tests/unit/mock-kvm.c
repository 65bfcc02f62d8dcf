/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/memory/page-log.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"

MockKVM mock_kvm;

int __real_close(int fd);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_close(int fd);

enum { FD_FIRST = 5000, FD_LAST = 5999 }; /* never handed out by the real kernel in a test */

static int answer(int value) {
        if (value >= 0)
                return value;
        errno = -value;
        return -1;
}

static int new_fd(int value) {
        if (value < 0)
                return answer(value);
        return FD_FIRST + mock_kvm.n_fds++;
}

/* With 64-bit offsets, open() bears this name in object files. */
int __wrap_open64(const char *path, int flags, ...) {
        assert_string_equal(path, "/dev/kvm");
        assert_int_equal(flags, O_RDWR | O_CLOEXEC);
        return new_fd(mock_kvm.open);
}

int __wrap_close(int fd) {
        if (fd < FD_FIRST || fd > FD_LAST)
                return __real_close(fd);
        assert_int_not_equal(mock_kvm.n_fds, 0);
        mock_kvm.n_fds--;
        return 0;
}

static int check_extension(int extension) {
        switch (extension) {
        case KVM_CAP_USER_MEMORY:
                return answer(mock_kvm.user_memory);
        case KVM_CAP_NR_MEMSLOTS:
                return answer(mock_kvm.nr_memslots);
        case KVM_CAP_READONLY_MEM:
                return answer(mock_kvm.readonly_mem);
        case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
                return answer(mock_kvm.manual_dirty_log);
        case KVM_CAP_COALESCED_MMIO:
                return answer(mock_kvm.coalesced_mmio);
        case KVM_CAP_COALESCED_PIO:
                return answer(mock_kvm.coalesced_pio);
        default:
                fail_msg("KVM_CHECK_EXTENSION %d is not expected", extension);
                return -1;
        }
}

static int create_vm(void) {
        if (mock_kvm.create_vm_interrupted > 0) {
                mock_kvm.create_vm_interrupted--;
                return answer(-EINTR);
        }
        return new_fd(mock_kvm.create_vm);
}

static int supported_cpuid(struct kvm_cpuid2 *cpuid) {
        if (mock_kvm.cpuid < 0)
                return answer(mock_kvm.cpuid);
        assert_true(cpuid->nent >= 2);
        cpuid->nent = 2;
        cpuid->entries[0] = (struct kvm_cpuid_entry2){.function = 1, .eax = 0x30};
        cpuid->entries[1] = (struct kvm_cpuid_entry2){
                .function = mock_kvm.cpuid_width ? 0x80000008 : 2,
                .eax = mock_kvm.cpuid_width,
        };
        return 0;
}

static void write_op(FILE *stream, const SlotOp *op) {
        if (op->size == 0)
                fprintf(stream, "%" PRIu32 " delete", op->slot);
        else
                fprintf(stream, "%" PRIu32 " %" PRIx64 "-%" PRIx64 " %" PRIx64 "%s%s", op->slot,
                        op->address, op->address + op->size - 1, op->host,
                        op->flags & KVM_MEM_READONLY ? " ro" : "",
                        op->flags & KVM_MEM_LOG_DIRTY_PAGES ? " log" : "");
}

static bool fails_now(void) {
        mock_kvm.n_calls++;
        return mock_kvm.fail_at && mock_kvm.n_calls >= mock_kvm.fail_at &&
               mock_kvm.n_calls - mock_kvm.fail_at <= mock_kvm.fail_more;
}

static const SlotOp *find_slot(uint32_t number) {
        const SlotOp *op = slot_table_next(&mock_kvm.table, NULL);

        while (op && op->slot != number)
                op = slot_table_next(&mock_kvm.table, op);
        return op;
}

static bool is_logged(uint32_t number) {
        const SlotOp *op = find_slot(number);

        return op && op->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* Of a slot, those whose bit is set; all for NULL. */
static void forget_dirty(uint32_t slot, uint64_t first, uint64_t n, const uint64_t *bits) {
        unsigned kept = 0;

        for (unsigned i = 0; i < mock_kvm.n_dirty; i++) {
                uint64_t at = mock_kvm.dirty[i].page - first;

                if (mock_kvm.dirty[i].slot == slot && at < n &&
                    (!bits || bits[at / 64] >> at % 64 & 1))
                        continue;
                mock_kvm.dirty[kept++] = mock_kvm.dirty[i];
        }
        mock_kvm.n_dirty = kept;
}

static int get_dirty(const struct kvm_dirty_log *log) {
        uint64_t *bits = log->dirty_bitmap;

        if (mock_kvm.notes_dirty)
                fprintf(mock_kvm.stream, "%" PRIu32 " dirty\n", log->slot);
        if (mock_kvm.dirty_errno)
                return answer(mock_kvm.dirty_errno);
        if (!is_logged(log->slot))
                return answer(-ENOENT);
        memset(bits, 0, page_log_words(find_slot(log->slot)->size / 4096) * 8);
        for (unsigned i = 0; i < mock_kvm.n_dirty; i++)
                if (mock_kvm.dirty[i].slot == log->slot)
                        bits[mock_kvm.dirty[i].page / 64] |= UINT64_C(1)
                                                             << mock_kvm.dirty[i].page % 64;
        if (!mock_kvm.manual_dirty_log)
                forget_dirty(log->slot, 0, UINT64_MAX, NULL);
        return 0;
}

static int clear_dirty(const struct kvm_clear_dirty_log *log) {
        uint64_t n_pages = find_slot(log->slot)->size / 4096;

        if (mock_kvm.notes_dirty)
                fprintf(mock_kvm.stream, "%" PRIu32 " clear %" PRIu64 "+%" PRIu32 "\n", log->slot,
                        (uint64_t)log->first_page, log->num_pages);
        assert_true(mock_kvm.manual_dirty_log);
        assert_int_equal(log->first_page % 64, 0);
        assert_true(log->num_pages % 64 == 0 || log->first_page + log->num_pages == n_pages);
        forget_dirty(log->slot, log->first_page, log->num_pages, log->dirty_bitmap);
        return 0;
}

static int set_region(const struct kvm_userspace_memory_region *region) {
        SlotOp op = {region->slot, region->flags, region->guest_phys_addr, region->memory_size,
                     region->userspace_addr};
        int r = fails_now() ? mock_kvm.fail_errno : slot_table_set(&mock_kvm.table, &op);

        if (!is_logged(op.slot))
                forget_dirty(op.slot, 0, UINT64_MAX, NULL);
        write_op(mock_kvm.stream, &op);
        fprintf(mock_kvm.stream, r < 0 ? ": %s\n" : "\n", strerror(-r));
        return answer(r);
}

static void write_device(FILE *stream, const BusOp *op) {
        fprintf(stream, "%c %s ", op->remove ? '-' : '+', op->ports ? "ports" : "memory");
        if (op->is_zone)
                fprintf(stream, "zone %" PRIx64 "-%" PRIx64, op->address,
                        op->address + op->length - 1);
        else
                fprintf(stream, "%" PRIx64 "/%" PRIu32, op->address, op->length);
        if (op->match)
                fprintf(stream, " =%" PRIx64, op->data);
}

static int set_device(const BusOp *op) {
        BusTable *table = op->ports ? &mock_kvm.ports : &mock_kvm.memory;
        int r = fails_now() ? mock_kvm.fail_errno : bus_table_set(table, op);

        write_device(mock_kvm.stream, op);
        fprintf(mock_kvm.stream, r < 0 ? ": %s\n" : "\n", strerror(-r));
        return answer(r);
}

static int set_ioeventfd(const struct kvm_ioeventfd *ioeventfd) {
        return set_device(&(BusOp){
                .remove = ioeventfd->flags & KVM_IOEVENTFD_FLAG_DEASSIGN,
                .ports = ioeventfd->flags & KVM_IOEVENTFD_FLAG_PIO,
                .match = ioeventfd->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
                .length = ioeventfd->len,
                .fd = ioeventfd->fd,
                .address = ioeventfd->addr,
                .data = ioeventfd->datamatch,
        });
}

static int set_zone(const struct kvm_coalesced_mmio_zone *zone, bool remove) {
        return set_device(&(BusOp){
                .remove = remove,
                .ports = zone->pio,
                .is_zone = true,
                .length = zone->size,
                .address = zone->addr,
        });
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
        va_list arguments;
        void *argument;

        va_start(arguments, request);
        argument = va_arg(arguments, void *);
        va_end(arguments);
        assert_in_range(fd, FD_FIRST, FD_LAST);

        switch (request) {
        case KVM_GET_API_VERSION:
                return answer(mock_kvm.api_version);
        case KVM_CREATE_VM:
                return create_vm();
        case KVM_CHECK_EXTENSION:
                return check_extension((int)(intptr_t)argument);
        case KVM_GET_SUPPORTED_CPUID:
                return supported_cpuid(argument);
        case KVM_SET_USER_MEMORY_REGION:
                return set_region(argument);
        case KVM_ENABLE_CAP:
                return answer(0);
        case KVM_GET_DIRTY_LOG:
                return get_dirty(argument);
        case KVM_CLEAR_DIRTY_LOG:
                return clear_dirty(argument);
        case KVM_IOEVENTFD:
                return set_ioeventfd(argument);
        case KVM_REGISTER_COALESCED_MMIO:
                return set_zone(argument, false);
        case KVM_UNREGISTER_COALESCED_MMIO:
                return set_zone(argument, true);
        default:
                fail_msg("ioctl %#lx is not expected", request);
                return -1;
        }
}

int mock_kvm_setup(void **state) {
        mock_kvm = (MockKVM){
                .api_version = KVM_API_VERSION,
                .user_memory = 1,
                .nr_memslots = 32764,
                .readonly_mem = 1,
                .coalesced_mmio = 2,
                .coalesced_pio = 1,
                .manual_dirty_log = 1,
                .cpuid_width = 0x3030,
                .limits = {.n_slots = 32764,
                           .page_size = 4096,
                           .has_readonly = true,
                           .address_last = (UINT64_C(1) << 52) - 1},
        };
        slot_table_init(&mock_kvm.table, &mock_kvm.limits);
        bus_table_init(&mock_kvm.memory);
        bus_table_init(&mock_kvm.ports);
        mock_kvm.stream = open_memstream(&mock_kvm.text, &mock_kvm.length);
        return mock_kvm.stream ? 0 : -1;
}

int mock_kvm_teardown(void **state) {
        slot_table_deinit(&mock_kvm.table);
        bus_table_deinit(&mock_kvm.memory);
        bus_table_deinit(&mock_kvm.ports);
        fclose(mock_kvm.stream);
        free(mock_kvm.text);
        return mock_kvm.n_fds;
}

void mock_kvm_write(uint32_t slot, uint64_t page) {
        if (!is_logged(slot))
                return;
        assert_true(mock_kvm.n_dirty < ELEMENTS_OF(mock_kvm.dirty));
        mock_kvm.dirty[mock_kvm.n_dirty].slot = slot;
        mock_kvm.dirty[mock_kvm.n_dirty++].page = page;
}

char *mock_kvm_take(void) {
        char *text;

        fclose(mock_kvm.stream);
        text = mock_kvm.text;
        mock_kvm.n_calls = 0;
        mock_kvm.stream = open_memstream(&mock_kvm.text, &mock_kvm.length);
        assert_non_null(mock_kvm.stream);
        return text;
}

char *mock_kvm_slots(void) {
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);
        const SlotOp *op;

        assert_non_null(stream);
        for (op = slot_table_next(&mock_kvm.table, NULL); op;
             op = slot_table_next(&mock_kvm.table, op)) {
                write_op(stream, op);
                fputc('\n', stream);
        }
        fclose(stream);
        return text;
}

static void write_bus(FILE *stream, const BusTable *table) {
        const BusOp *op;

        for (op = bus_table_next_ioeventfd(table, NULL); op;
             op = bus_table_next_ioeventfd(table, op)) {
                write_device(stream, op);
                fputc('\n', stream);
        }
        for (op = bus_table_next_zone(table, NULL); op; op = bus_table_next_zone(table, op)) {
                write_device(stream, op);
                fputc('\n', stream);
        }
}

char *mock_kvm_devices(void) {
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        write_bus(stream, &mock_kvm.memory);
        write_bus(stream, &mock_kvm.ports);
        fclose(stream);
        return text;
}
