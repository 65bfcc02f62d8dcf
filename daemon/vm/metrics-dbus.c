/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/common/metric-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/journal-record.h"
#include "daemon/vm/metrics-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpus.h"
#include "lib/kvm/dirty-fetch.h"

typedef struct Metric Metric;

/* How many address spaces are told of by name; all others together are those of "". */
enum { SPACES_MAX = 32 };

#define NSEC_PER_SEC 1e9
#define USEC_PER_SEC 1e6

/* One of the two: a number, or samples. */
struct Metric {
        MetricFamily family;
        double (*value)(const Service *service);
        int (*samples)(sd_bus_message *m, const MetricFamily *family, const Service *service);
};

static void look(Service *service) {
        const VM *vm = service->vm;
        TreeFigures *figures = &service->figures;
        const Region *region;

        if (service->gate.is_lent)
                return;
        *figures = (TreeFigures){
                .ioeventfds = vm->map->n_ioeventfds,
                .coalesced_zones = vm->map->n_coalesced,
                .journal_bytes = vm->record ? vm->record->journal->end : 0,
        };
        cds_list_for_each_entry(region, &vm->map->backed, link)
                figures->resident_bytes += backing_resident(region->backing);
}

static int tell_info(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const Record *record = service->vm->record;
        char owner[16];

        snprintf(owner, sizeof(owner), "%" PRIu32, service->vm->owner);
        return metric_sample_full(m, "_info", 1, "accelerator", service->vm->accelerator->ops->name,
                                  "durable", record && record->journal->durable ? "true" : "false",
                                  "owner", owner, "version", GUESTMAP_VERSION, NULL);
}

static double start_time(const Service *service) {
        return (double)service->start_usec / USEC_PER_SEC;
}

static double generation(const Service *service) {
        return (double)map_snapshot(service->vm->map)->generation;
}

static double commits(const Service *service) {
        return (double)counter_get(&service->vm->counters.commits);
}

static int tell_aborts(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        static const char *const words[N_ABORTS] = {
                [ABORT_OTHER] = "Other",
                [ABORT_BY_CALLER] = "Abort",
                [ABORT_CALLER_LEFT] = "CallerLeft",
                [ABORT_IDLE] = "Idle",
        };
        const uint64_t *aborts = service->vm->counters.aborts;
        int r = 0;

        for (int i = 0; r >= 0 && i < N_ABORTS; i++) {
                const char *word = words[i] ?: error_token(i);

                if (word && i != VM_E_INVALID_ARGUMENTS)
                        r = metric_sample(m, family, "reason", word,
                                          (double)counter_get(&aborts[i]));
        }
        return r;
}

/* Buckets count what is in those below them, too. */
static int tell_durations(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const Counters *counters = &service->vm->counters;
        uint64_t n = 0;
        char bound[32];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < N_COMMIT_BUCKETS; i++) {
                n += counter_get(&counters->buckets[i]);
                snprintf(bound, sizeof(bound), "%.5g",
                         (double)commit_bucket_nsec(i) / NSEC_PER_SEC);
                r = metric_sample_full(m, "_bucket", (double)n, "le", bound, NULL);
        }
        n = counter_get(&counters->commits);
        if (r >= 0)
                r = metric_sample_full(m, "_bucket", (double)n, "le", "+Inf", NULL);
        if (r >= 0)
                r = metric_sample_full(m, "_count", (double)n, NULL);
        return r < 0 ? r
                     : metric_sample_full(
                               m, "_sum",
                               (double)counter_get(&counters->commit_nsec) / NSEC_PER_SEC, NULL);
}

static int tell_pauses(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        PauseStatistics pauses = run_gate_pauses(&service->vm->gate);
        int r;

        r = metric_sample_full(m, "_count", (double)pauses.count, NULL);
        return r < 0 ? r
                     : metric_sample_full(m, "_sum", (double)pauses.total_usec / USEC_PER_SEC,
                                          NULL);
}

static double longest_pause(const Service *service) {
        return (double)run_gate_pauses(&service->vm->gate).max_usec / USEC_PER_SEC;
}

static int tell_slot_operations(sd_bus_message *m, const MetricFamily *family,
                                const Service *service) {
        const SlotStats *stats = slots_stats(service->vm->slots);
        int r = 0;

        for (SlotOpKind kind = 0; r >= 0 && kind < N_SLOT_OP_KINDS; kind++)
                r = metric_sample(m, family, "kind", slot_op_kind_to_string(kind),
                                  (double)stats->operations[kind]);
        return r;
}

static double remapped_bytes(const Service *service) {
        return (double)slots_stats(service->vm->slots)->bytes_remapped;
}

static double unchanged_bytes(const Service *service) {
        return (double)slots_stats(service->vm->slots)->bytes_unchanged;
}

static double slots(const Service *service) {
        return slots_used(service->vm->slots);
}

static double regions(const Service *service) {
        return (double)map_snapshot(service->vm->map)->n_regions;
}

static int tell_sections(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const Snapshot *snapshot = map_snapshot(service->vm->map);
        size_t others = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < snapshot->n_spaces; i++) {
                const SnapshotSpace *space = &snapshot->spaces[i];
                size_t n = flat_view_n_sections(space->view);

                if (i < SPACES_MAX)
                        r = metric_sample(m, family, "space", space->space->name, (double)n);
                else
                        others += n;
        }
        if (r >= 0 && snapshot->n_spaces > SPACES_MAX)
                r = metric_sample(m, family, "space", "", (double)others);
        return r;
}

static double mapped_bytes(const Service *service) {
        return (double)map_snapshot(service->vm->map)->ram_bytes;
}

static double resident_bytes(const Service *service) {
        return (double)service->figures.resident_bytes;
}

static double trapped_bytes(const Service *service) {
        return (double)slots_trapped(service->vm->slots);
}

static int tell_quotas(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const VM *vm = service->vm;
        const Snapshot *snapshot = map_snapshot(vm->map);
        const MapLimits *limits = &vm->map->limits;
        const struct {
                const char *kind;
                uint64_t used, limit;
        } quotas[] = {
                {"regions", snapshot->n_regions, limits->regions},
                {"address-spaces", snapshot->n_spaces, limits->address_spaces},
                {"ioeventfds", service->figures.ioeventfds, limits->ioeventfds},
                {"coalesced-zones", service->figures.coalesced_zones, limits->coalesced_zones},
                {"ram", snapshot->ram_bytes, limits->ram_bytes},
                {"slots", slots_used(vm->slots), vm->accelerator->n_slots},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(quotas); i++)
                r = metric_sample(m, family, "kind", quotas[i].kind,
                                  (double)quotas[i].used / (double)MAX_OF(quotas[i].limit, 1u));
        return r;
}

static double open_transactions(const Service *service) {
        const OpenTransaction *open;
        size_t n = 0;

        cds_list_for_each_entry(open, &service->transactions, link)
                n++;
        return (double)n;
}

static int tell_waiting(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const struct {
                const char *kind;
                size_t n;
        } waits[] = {
                {"tree", service->gate.n_line},
                {"changes", service->n_watches},
                {"dump", service->n_dumps},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(waits); i++)
                r = metric_sample(m, family, "kind", waits[i].kind, (double)waits[i].n);
        return r;
}

static double folded_commits(const Service *service) {
        return (double)service->announcer.n_folded;
}

static int tell_vcpus(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        const VCPUs *vcpus = service->vm->vcpus;
        size_t n[VCPU_FAILED + 1] = {};
        int r = 0;

        for (VCPU *vcpu = vcpus_next(vcpus, NULL); vcpu; vcpu = vcpus_next(vcpus, vcpu))
                n[vcpu_state(vcpu)]++;
        for (VCPUState state = 0; r >= 0 && state < ELEMENTS_OF(n); state++)
                r = metric_sample(m, family, "state", vcpu_state_to_string(state),
                                  (double)n[state]);
        return r;
}

/* Most of them never happen. */
static int tell_exits(sd_bus_message *m, const MetricFamily *family, const Service *service) {
        int r = 0;

        for (unsigned kind = 0; r >= 0 && kind < N_VCPU_EXITS; kind++) {
                uint64_t n = vcpus_n_exits(service->vm->vcpus, kind);

                if (n > 0)
                        r = metric_sample(m, family, "kind", vcpu_exit_word(kind), (double)n);
        }
        return r;
}

static double logged_slots(const Service *service) {
        const VM *vm = service->vm;
        size_t n = 0;

        for (const Slot *slot = slots_first(vm->slots, 0); slot; slot = slots_next(vm->slots, slot))
                n += dirty_is_logged(vm->accelerator, &slot->extent);
        return (double)n;
}

static double dirty_bytes(const Service *service) {
        const VM *vm = service->vm;

        return (double)vm->counters.dirty_pages * (double)vm->accelerator->page_size;
}

static const JournalCounters *journal_counters(const Service *service) {
        static const JournalCounters none;
        const Record *record = service->vm->record;

        return record ? &record->journal->counters : &none;
}

static double journal_bytes(const Service *service) {
        return (double)service->figures.journal_bytes;
}

static double journal_written(const Service *service) {
        return (double)counter_get(&journal_counters(service)->bytes);
}

static double journal_syncs(const Service *service) {
        return (double)counter_get(&journal_counters(service)->syncs);
}

static double journal_compactions(const Service *service) {
        return (double)counter_get(&journal_counters(service)->compactions);
}

static const Metric metrics[] = {
        {{"guestmap_vm", "info", "", "What the VM is; owner is a uid"}, .samples = tell_info},
        {{"guestmap_vm_start_time_seconds", "gauge", "seconds",
          "Since when its process serves it, after 1970"},
         start_time},
        {{"guestmap_vm_generation", "gauge", "", "Number of the commit in force"}, generation},
        {{"guestmap_vm_commits", "counter", "", "Changes that came into force"}, commits},
        {{"guestmap_vm_aborts", "counter", "",
          "Changes that did not come into force, by the word of their error, and transactions that "
          "ended without a commit"},
         .samples = tell_aborts},
        {{"guestmap_vm_commit_duration_seconds", "histogram", "seconds",
          "How long commits took, from their first edit or Commit until they were in force"},
         .samples = tell_durations},
        {{"guestmap_vm_pause_seconds", "summary", "seconds",
          "How long commits held vCPUs that could run"},
         .samples = tell_pauses},
        {{"guestmap_vm_longest_pause_seconds", "gauge", "seconds", "The longest of these"},
         longest_pause},
        {{"guestmap_vm_slot_operations", "counter", "",
          "Operations on memory slots of commits in force, each an ioctl"},
         .samples = tell_slot_operations},
        {{"guestmap_vm_remapped_bytes", "counter", "bytes",
          "Guest memory that slot operations have taken away or brought"},
         remapped_bytes},
        {{"guestmap_vm_remapped_unchanged_bytes", "counter", "bytes",
          "The part of these that was taken away and came back as it was"},
         unchanged_bytes},
        {{"guestmap_vm_slots", "gauge", "", "Memory slots in use"}, slots},
        {{"guestmap_vm_regions", "gauge", "", "Regions in the map"}, regions},
        {{"guestmap_vm_sections", "gauge", "",
          "Sections of the flat view of each address space; of those behind the first 32, "
          "together"},
         .samples = tell_sections},
        {{"guestmap_vm_ram_bytes", "gauge", "bytes", "Memory behind all regions"}, mapped_bytes},
        {{"guestmap_vm_ram_resident_bytes", "gauge", "bytes",
          "The part of it that takes memory of the host"},
         resident_bytes},
        {{"guestmap_vm_trapped_bytes", "gauge", "bytes",
          "Guest memory that no slot can map, and every access to which traps"},
         trapped_bytes},
        {{"guestmap_vm_quota_use_ratio", "gauge", "ratio",
          "How much of a limit of the VM is used up"},
         .samples = tell_quotas},
        {{"guestmap_vm_open_transactions", "gauge", "", "Transactions that are open"},
         open_transactions},
        {{"guestmap_vm_waiting_calls", "gauge", "",
          "Calls in the VM's process that wait: for the tree of regions, for a change, for a dump"},
         .samples = tell_waiting},
        {{"guestmap_vm_folded_commits", "counter", "",
          "Commits that were told with a later one, since the bus did not drain"},
         folded_commits},
        {{"guestmap_vm_vcpus", "gauge", "", "vCPUs in each state"}, .samples = tell_vcpus},
        {{"guestmap_vm_vcpu_exits", "counter", "",
          "Exits of vCPUs from KVM, by the kinds that there were"},
         .samples = tell_exits},
        {{"guestmap_vm_logged_slots", "gauge", "", "Memory slots whose dirty log is on"},
         logged_slots},
        {{"guestmap_vm_dirty_bytes", "counter", "bytes",
          "Pages that readers of dirty logs have found written, and cleared"},
         dirty_bytes},
        {{"guestmap_vm_journal_bytes", "gauge", "bytes", "Size of the journal"}, journal_bytes},
        {{"guestmap_vm_journal_written_bytes", "counter", "bytes", "Written to the journal"},
         journal_written},
        {{"guestmap_vm_journal_syncs", "counter", "",
          "How often the journal was brought to the disk; of durable VMs only"},
         journal_syncs},
        {{"guestmap_vm_journal_compactions", "counter", "",
          "How often a new journal took the place of one that had become long"},
         journal_compactions},
};

static int tell(sd_bus_message *m, const Metric *metric, const Service *service) {
        int r;

        if (metric->value)
                return metric_add(m, &metric->family, metric->value(service));
        r = metric_open(m, &metric->family);
        if (r >= 0)
                r = metric->samples(m, &metric->family, service);
        return r < 0 ? r : metric_close(m);
}

int method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        look(userdata);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', METRIC_FAMILY_TYPE);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(metrics); i++)
                r = tell(reply, &metrics[i], userdata);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
