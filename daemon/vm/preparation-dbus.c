/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/preparation-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "lib/util/size-words.h"

Preparation *preparation_free(Preparation *preparation) {
        if (!preparation)
                return NULL;
        if (preparation->link.next)
                cds_list_del(&preparation->link);
        ration_put_back(preparation->service->vm->ration, preparation->bytes);
        prealloc_deinit(&preparation->memory);
        sd_bus_message_unref(preparation->m);
        free(preparation);
        return NULL;
}

static Preparation *find(const Service *service, sd_bus_message *m) {
        Preparation *preparation;

        cds_list_for_each_entry(preparation, &service->preparations, link)
                if (preparation->m == m)
                        return preparation;
        return NULL;
}

/* How far they have come */

static void tell(Service *service) {
        if (service->bus)
                (void)sd_bus_emit_properties_changed(service->bus, service->path,
                                                     GUESTMAP_INTERFACE_VM, "Preparing", NULL);
}

/* Calls that have come again and were not taken ended on the way: there was no such object. */
static void sweep(Service *service) {
        Preparation *preparation, *next;

        cds_list_for_each_entry_safe(preparation, next, &service->preparations, link)
                if (preparation->handed_out)
                        preparation_free(preparation);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Service *service = userdata;
        int r;

        tell(service);
        sweep(service);
        if (cds_list_empty(&service->preparations))
                return 0;
        r = sd_event_source_set_time_relative(source, PREPARATIONS_TOLD_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The first is told of at once; what comes and goes between two ticks is told of by the second. */
static int start_ticking(Service *service) {
        int r;

        if (!service->preparations_tick)
                return sd_event_add_time_relative(service->event, &service->preparations_tick,
                                                  CLOCK_MONOTONIC, 0, 0, on_tick, service);
        r = sd_event_source_get_enabled(service->preparations_tick, NULL);
        if (r != 0)
                return MIN_OF(r, 0);
        r = sd_event_source_set_time_relative(service->preparations_tick, 0);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(service->preparations_tick, SD_EVENT_ONESHOT);
}

/* The first `n`. */
static int append_items(const Prealloc *memory, size_t n, sd_bus_message *reply) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                const PreallocItem *item = &memory->items[i];

                r = sd_bus_message_append(reply, "(stt)", item->name, prealloc_item_ready(item),
                                          item->backing->size);
        }
        return r;
}

int preparations_append(const Service *service, sd_bus_message *reply) {
        uint64_t rest_ready = 0, rest_bytes = 0;
        const Preparation *preparation;
        size_t left = PREPARATIONS_TOLD_MAX;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(stt)");
        if (r < 0)
                return r;
        cds_list_for_each_entry(preparation, &service->preparations, link) {
                const Prealloc *memory = &preparation->memory;
                size_t n = MIN_OF(memory->n, left);

                r = append_items(memory, n, reply);
                if (r < 0)
                        return r;
                left -= n;
                if (n < memory->n)
                        prealloc_add_rest(memory, n, &rest_ready, &rest_bytes);
        }
        if (rest_bytes > 0)
                r = sd_bus_message_append(reply, "(stt)", "", rest_ready, rest_bytes);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* From its start to its end */

static int populate(const Cancel *cancel, void *userdata) {
        Preparation *preparation = userdata;

        return prealloc_populate(&preparation->memory, cancel, &preparation->detail);
}

static int ended_early(Preparation *preparation) {
        return detail_set(&preparation->detail, VM_E_CANCELLED,
                          "region \"%s\": the preparation of its memory was cancelled",
                          preparation->memory.items[0].name);
}

static void done(int result, void *userdata) {
        Preparation *preparation = userdata;
        sd_bus_message *m = preparation->m;

        preparation->job = NULL;
        if (result == -ECANCELED || (result == 0 && preparation->cancelled))
                result = ended_early(preparation);
        if (result == 0) {
                result = sd_bus_enqueue_for_read(sd_bus_message_get_bus(m), m);
                if (result >= 0)
                        return;
        }
        service_refuse(preparation->service, m, result, &preparation->detail);
        preparation_free(preparation);
}

static int check_new(const Service *service, const Prealloc *memory, Detail *detail) {
        uint64_t ram_bytes = service->vm->map->ram_bytes, limit = service->vm->limits.map.ram_bytes;
        const Preparation *other;
        size_t n = 0;

        cds_list_for_each_entry(other, &service->preparations, link) {
                for (size_t i = 0; i < memory->n; i++)
                        if (prealloc_find(&other->memory, memory->items[i].name))
                                return detail_set(detail, MAP_E_REGION_EXISTS,
                                                  "region \"%s\" is being prepared by another call",
                                                  memory->items[i].name);
                ram_bytes += other->bytes;
                n++;
        }
        if (n >= PREPARATIONS_MAX)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "VM \"%s\": %zu calls wait for memory, the limit is %d",
                                  service->vm->name, n, PREPARATIONS_MAX);
        if (ram_bytes > limit)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "RAMBytes: %s with what is being prepared, the limit is %s",
                                  size_words(ram_bytes).text, size_words(limit).text);
        return 0;
}

int preparation_start(Service *service, sd_bus_message *m, Prealloc *memory, Detail *detail) {
        _cleanup_(preparation_freep) Preparation *preparation = NULL;
        int r;

        r = check_new(service, memory, detail);
        if (r == 0)
                r = start_ticking(service);
        if (r != 0)
                return r;
        preparation = calloc(1, sizeof(*preparation));
        if (!preparation)
                return -ENOMEM;
        preparation->service = service;
        preparation->m = sd_bus_message_ref(m);
        preparation->bytes = memory->bytes;
        preparation->memory = TAKE_STRUCT(*memory);
        ration_set_aside(service->vm->ration, preparation->bytes);
        r = job_start(&service->preparing, &preparation->job, populate, done, preparation, detail);
        if (r != 0)
                return r;
        cds_list_add_tail(&preparation->link, &service->preparations);
        audit_wait(service, m);
        TAKE_PTR(preparation);
        return 0;
}

void preparation_hand_out(Service *service, sd_bus_message *m) {
        Preparation *preparation = find(service, m);

        if (preparation)
                preparation->handed_out = true;
}

Preparation *preparation_take(Service *service, sd_bus_message *m) {
        Preparation *preparation = find(service, m);

        if (!preparation)
                return NULL;
        cds_list_del(&preparation->link);
        preparation->link = (struct cds_list_head){};
        /* From here on it counts with the change. */
        ration_use(service->vm->ration, preparation->bytes);
        preparation->bytes = 0;
        return preparation;
}

void preparation_forget(Service *service, sd_bus_message *m) {
        preparation_free(find(service, m));
}

/* One whose job is done is too late to be stopped, but not to be forgotten. */
static void end(Preparation *preparation) {
        preparation->cancelled = true;
        if (preparation->job)
                job_cancel(preparation->job);
}

int preparation_cancel(Service *service, const char *region, Detail *detail) {
        Preparation *preparation;

        cds_list_for_each_entry(preparation, &service->preparations, link)
                if (preparation->job && prealloc_find(&preparation->memory, region)) {
                        end(preparation);
                        return 0;
                }
        return detail_set(detail, MAP_E_NO_SUCH_REGION, "no region \"%.128s\" is being prepared",
                          region);
}

static bool is_at(const Preparation *preparation, const char *path) {
        return strcmp(sd_bus_message_get_path(preparation->m), path) == 0;
}

void preparations_cancel_at(Service *service, const char *path) {
        Preparation *preparation;

        cds_list_for_each_entry(preparation, &service->preparations, link)
                if (is_at(preparation, path))
                        end(preparation);
}

bool preparations_are_at(const Service *service, const char *path) {
        const Preparation *preparation;

        cds_list_for_each_entry(preparation, &service->preparations, link)
                if (is_at(preparation, path))
                        return true;
        return false;
}

/* Of one that is forwarded the call comes again, and is refused: by then it has its answer. */
static void drop_done(Preparation *preparation) {
        Service *service = preparation->service;

        if (!preparation->handed_out && !connection_of(service, preparation->m))
                answer_caller_left(service, preparation->m);
        preparation_free(preparation);
}

void preparations_drop(Service *service, const char *caller) {
        Preparation *preparation, *next;

        cds_list_for_each_entry_safe(preparation, next, &service->preparations, link) {
                if (!sender_is(service, preparation->m, caller))
                        continue;
                if (preparation->job)
                        end(preparation);
                else
                        drop_done(preparation);
        }
}
