/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kvm/vcpu-image.h"
#include "lib/memory/map-error.h"

typedef struct Kind Kind;
typedef struct Part Part;

/* What is in an image; numbers as the processor has them. */
struct Part {
        uint64_t get; /* the request */
        uint64_t size;
        _Alignas(uint64_t) uint8_t data[]; /* its argument */
};

struct Kind {
        const char *word;
        unsigned long get, put;
        size_t size; /* bytes, where that depends on nothing */
        size_t (*measure)(int kvm_fd);
        size_t head, entry; /* bytes of what has entries; their number is 32 bits, */
        size_t count_at;    /* here */
};

static size_t extension(int kvm_fd, int number) {
        int answer = ioctl(kvm_fd, KVM_CHECK_EXTENSION, number);

        return answer < 0 ? 0 : (size_t)answer;
}

/* KVM itself knows no more leaves. */
static size_t measure_cpuid(int kvm_fd) {
        return sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2);
}

static size_t measure_sregs2(int kvm_fd) {
        return extension(kvm_fd, KVM_CAP_SREGS2) ? sizeof(struct kvm_sregs2) : 0;
}

static size_t measure_sregs(int kvm_fd) {
        return extension(kvm_fd, KVM_CAP_SREGS2) ? 0 : sizeof(struct kvm_sregs);
}

static size_t measure_xsave2(int kvm_fd) {
        return extension(kvm_fd, KVM_CAP_XSAVE2);
}

static size_t measure_xsave(int kvm_fd) {
        return extension(kvm_fd, KVM_CAP_XSAVE2) ? 0 : sizeof(struct kvm_xsave);
}

static size_t measure_nested(int kvm_fd) {
        return extension(kvm_fd, KVM_CAP_NESTED_STATE);
}

/*
 * In the order in which they are put. What MSRs may be depends on the special registers; to set
 * most of them clears what is pending.
 */
static const Kind kinds[] = {
        {"CPUID", KVM_GET_CPUID2, KVM_SET_CPUID2, 0, measure_cpuid, sizeof(struct kvm_cpuid2),
         sizeof(struct kvm_cpuid_entry2), offsetof(struct kvm_cpuid2, nent)},
        {"special registers", KVM_GET_SREGS2, KVM_SET_SREGS2, 0, measure_sregs2},
        {"special registers", KVM_GET_SREGS, KVM_SET_SREGS, 0, measure_sregs},
        {"registers", KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
        {"XSAVE area", KVM_GET_XSAVE2, KVM_SET_XSAVE, 0, measure_xsave2},
        {"XSAVE area", KVM_GET_XSAVE, KVM_SET_XSAVE, 0, measure_xsave},
        {"XCRs", KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
        {"MSRs", KVM_GET_MSRS, KVM_SET_MSRS, 0, NULL, sizeof(struct kvm_msrs),
         sizeof(struct kvm_msr_entry), offsetof(struct kvm_msrs, nmsrs)},
        {"nested state", KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE, 0, measure_nested, 0, 1,
         offsetof(struct kvm_nested_state, size)},
        {"debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
        {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events)},
        {"state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state)},
};

static const Kind *kind_of(const Part *part) {
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (kinds[i].get == part->get)
                        return &kinds[i];
        return NULL;
}

static size_t room_for(size_t size) {
        return sizeof(Part) + (size + 7) / 8 * 8;
}

static Part *part_at(const VCPUImage *image, size_t at) {
        return at < image->size ? (Part *)(image->bytes + at) : NULL;
}

static Part *first_part(const VCPUImage *image) {
        return part_at(image, 0);
}

static Part *next_part(const VCPUImage *image, const Part *part) {
        return part_at(image,
                       (size_t)((const uint8_t *)part - image->bytes) + room_for(part->size));
}

/* How many entries a part has room for. */
static uint32_t capacity(const Kind *kind, const Part *part) {
        return (uint32_t)((part->size - kind->head) / kind->entry);
}

static uint32_t get_count(const Kind *kind, const Part *part) {
        uint32_t n;

        memcpy(&n, part->data + kind->count_at, sizeof(n));
        return n;
}

static void set_count(const Kind *kind, Part *part, uint32_t n) {
        memcpy(part->data + kind->count_at, &n, sizeof(n));
}

static int get_part(Part *part, int vcpu_fd) {
        const Kind *kind = kind_of(part);
        int n;

        if (kind->entry)
                set_count(kind, part, capacity(kind, part));
        n = ioctl(vcpu_fd, kind->get, part->data);
        if (n < 0)
                return -errno;
        return kind->get == KVM_GET_MSRS && (uint32_t)n < get_count(kind, part) ? -EIO : 0;
}

static int get_all(VCPUImage *image, int vcpu_fd) {
        int r = 0;

        for (Part *part = first_part(image); r == 0 && part; part = next_part(image, part))
                r = get_part(part, vcpu_fd);
        return r;
}

static int list_msrs(int kvm_fd, struct kvm_msr_list **ret) {
        _cleanup_(freep) struct kvm_msr_list *list = NULL;
        struct kvm_msr_list none = {};

        if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &none) < 0 && errno != E2BIG)
                return -errno;
        list = malloc(sizeof(*list) + none.nmsrs * sizeof(list->indices[0]));
        if (!list)
                return -ENOMEM;
        list->nmsrs = none.nmsrs;
        if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
                return -errno;
        *ret = TAKE_PTR(list);
        return 0;
}

/* One at a time: a list ends at the first that the vCPU does not have. */
static bool transfer_msr(int vcpu_fd, unsigned long request, struct kvm_msr_entry *entry) {
        _Alignas(struct kvm_msrs) char room[sizeof(struct kvm_msrs) + sizeof(*entry)] = {};
        struct kvm_msrs *list = (struct kvm_msrs *)room;
        int n;

        list->nmsrs = 1;
        list->entries[0] = *entry;
        n = ioctl(vcpu_fd, request, list);
        *entry = list->entries[0];
        return n == 1;
}

/* Those that can be read, and be set to what was read. */
static int find_msrs(struct kvm_msrs **ret, int kvm_fd, int vcpu_fd) {
        _cleanup_(freep) struct kvm_msr_list *list = NULL;
        struct kvm_msrs *msrs;
        int r;

        r = list_msrs(kvm_fd, &list);
        if (r < 0)
                return r;
        msrs = calloc(1, sizeof(*msrs) + list->nmsrs * sizeof(msrs->entries[0]));
        if (!msrs)
                return -ENOMEM;
        for (uint32_t i = 0; i < list->nmsrs; i++) {
                struct kvm_msr_entry entry = {.index = list->indices[i]};

                if (transfer_msr(vcpu_fd, KVM_GET_MSRS, &entry) &&
                    transfer_msr(vcpu_fd, KVM_SET_MSRS, &entry))
                        msrs->entries[msrs->nmsrs++] = entry;
        }
        *ret = msrs;
        return 0;
}

/* 0: this host has no such part. */
static size_t size_of(const Kind *kind, int kvm_fd, const struct kvm_msrs *msrs) {
        if (kind->get == KVM_GET_MSRS)
                return kind->head + msrs->nmsrs * kind->entry;
        return kind->measure ? kind->measure(kvm_fd) : kind->size;
}

static int image_new(VCPUImage **ret, size_t size) {
        VCPUImage *image = calloc(1, sizeof(*image) + size);

        if (!image)
                return -ENOMEM;
        image->size = size;
        *ret = image;
        return 0;
}

/* All parts, with nothing in them but which MSRs there are. */
static int image_new_empty(VCPUImage **ret, int kvm_fd, const struct kvm_msrs *msrs) {
        size_t sizes[ELEMENTS_OF(kinds)], all = 0, at = 0;
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
                sizes[i] = size_of(&kinds[i], kvm_fd, msrs);
                all += sizes[i] > 0 ? room_for(sizes[i]) : 0;
        }
        r = image_new(ret, all);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
                Part *part = (Part *)((*ret)->bytes + at);

                if (sizes[i] == 0)
                        continue;
                *part = (Part){.get = kinds[i].get, .size = sizes[i]};
                if (kinds[i].get == KVM_GET_MSRS)
                        memcpy(part->data, msrs, sizes[i]);
                at += room_for(sizes[i]);
        }
        return 0;
}

int vcpu_image_new(VCPUImage **ret, int kvm_fd, int vcpu_fd) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        _cleanup_(freep) struct kvm_msrs *msrs = NULL;
        int r;

        r = find_msrs(&msrs, kvm_fd, vcpu_fd);
        if (r == 0)
                r = image_new_empty(&image, kvm_fd, msrs);
        if (r == 0)
                r = get_all(image, vcpu_fd);
        if (r == 0)
                *ret = TAKE_PTR(image);
        return r;
}

int vcpu_image_take(VCPUImage **ret, const VCPUImage *like, int vcpu_fd) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        int r;

        r = image_new(&image, like->size);
        if (r < 0)
                return r;
        memcpy(image->bytes, like->bytes, like->size);
        r = get_all(image, vcpu_fd);
        if (r == 0)
                *ret = TAKE_PTR(image);
        return r;
}

/* The kernel is not to look behind the end of a part. */
static bool is_alike(const Part *part, const Part *like) {
        const Kind *kind = kind_of(like);

        return part->get == like->get && part->size == like->size &&
               (kind->entry == 0 || get_count(kind, part) <= capacity(kind, like));
}

int vcpu_image_read(VCPUImage **ret, const VCPUImage *like, const void *bytes, size_t size) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        const Part *part, *other;
        int r;

        if (size != like->size)
                return -EPROTO;
        r = image_new(&image, size);
        if (r < 0)
                return r;
        memcpy(image->bytes, bytes, size);
        part = first_part(image);
        for (other = first_part(like); other; other = next_part(like, other)) {
                if (!is_alike(part, other))
                        return -EPROTO;
                part = next_part(image, part);
        }
        *ret = TAKE_PTR(image);
        return 0;
}

VCPUImage *vcpu_image_free(VCPUImage *image) {
        free(image);
        return NULL;
}

static int put_part(const Part *part, int vcpu_fd, Detail *detail) {
        const Kind *kind = kind_of(part);
        const struct kvm_msrs *msrs = (const struct kvm_msrs *)part->data;
        int n;

        n = ioctl(vcpu_fd, kind->put, part->data);
        if (n < 0)
                return detail_set(detail, MAP_E_KVM, "its %s: %s", kind->word, strerror(errno));
        if (kind->put == KVM_SET_MSRS && (uint32_t)n < msrs->nmsrs)
                return detail_set(detail, MAP_E_KVM, "its MSR 0x%x: the kernel refuses the value",
                                  msrs->entries[n].index);
        return 0;
}

int vcpu_image_put(const VCPUImage *image, int vcpu_fd, Detail *detail) {
        int r = 0;

        for (const Part *part = first_part(image); r == 0 && part; part = next_part(image, part))
                if (part->get != KVM_GET_CPUID2)
                        r = put_part(part, vcpu_fd, detail);
        return r;
}

int vcpu_image_put_new(const VCPUImage *image, int vcpu_fd, Detail *detail) {
        int r;

        /* CPUID, the first part: what else there is depends on it. */
        r = put_part(first_part(image), vcpu_fd, detail);
        return r != 0 ? r : vcpu_image_put(image, vcpu_fd, detail);
}
