/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "daemon/manager/objects-dbus.h"
#include "daemon/manager/vm-dbus.h"

typedef struct Listing Listing;
typedef struct Round Round;

struct Listing {
        struct cds_list_head siblings; /* in Manager.listings, then in Round.listings */
        sd_bus_message *call;
};

struct Round {
        Manager *manager;
        struct cds_list_head listings;
        size_t n_pending; /* VMs that have not answered; and the round itself while it asks */
};

static void begin_round(Manager *manager);

static void listing_free(Listing *listing) {
        cds_list_del(&listing->siblings);
        sd_bus_message_unref(listing->call);
        free(listing);
}

static int append_object(VM *vm, sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "o", vm->path);
        if (r >= 0)
                r = vm_append_interfaces(vm, m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int answer(Manager *manager, sd_bus_message *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &m);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}");
        for (VM *vm = registry_first(&manager->registry); r >= 0 && vm; vm = registry_next(vm))
                if (vm_is_visible(vm))
                        r = append_object(vm, m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_send(m);
}

static void finish_round(Round *round) {
        Manager *manager = round->manager;
        Listing *listing, *next;
        int r;

        cds_list_for_each_entry_safe(listing, next, &round->listings, siblings) {
                r = answer(manager, listing->call);
                if (r < 0)
                        (void)sd_bus_reply_method_errno(listing->call, r, NULL);
                listing_free(listing);
        }
        free(round);
        manager->listing = false;
        if (!cds_list_empty(&manager->listings))
                begin_round(manager);
}

static void round_unref(Round *round) {
        if (--round->n_pending == 0)
                finish_round(round);
}

/* A VM that does not answer in time is listed as it was last known. */
static void on_properties(VM *vm, sd_bus_message *reply, void *userdata) {
        (void)vm_read_reply(vm, reply);
        round_unref(userdata);
}

static void begin_round(Manager *manager) {
        Round *round = malloc(sizeof(*round));

        if (!round) {
                objects_clear(manager);
                return;
        }
        round->manager = manager;
        round->n_pending = 1;
        CDS_INIT_LIST_HEAD(&round->listings);
        cds_list_splice(&manager->listings, &round->listings);
        CDS_INIT_LIST_HEAD(&manager->listings);
        manager->listing = true;
        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm))
                if (vm->phase == VM_LIVING && vm_query(vm, on_properties, round) >= 0)
                        round->n_pending++;
        round_unref(round);
}

void objects_clear(Manager *manager) {
        Listing *listing, *next;

        cds_list_for_each_entry_safe(listing, next, &manager->listings, siblings) {
                (void)sd_bus_reply_method_errno(listing->call, -ENOMEM, NULL);
                listing_free(listing);
        }
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        Listing *listing;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager",
                                           "GetManagedObjects"))
                return 0;
        listing = malloc(sizeof(*listing));
        if (!listing)
                return -ENOMEM;
        listing->call = sd_bus_message_ref(m);
        cds_list_add_tail(&listing->siblings, &manager->listings);
        if (!manager->listing)
                begin_round(manager);
        return 1;
}

/* The object manager makes sd-bus show the interface; the callback comes before it. */
int objects_register(Manager *manager) {
        int r;

        r = sd_bus_add_object(manager->bus, NULL, GUESTMAP_PATH, on_call, manager);
        if (r < 0)
                return r;
        return sd_bus_add_object_manager(manager->bus, NULL, GUESTMAP_PATH);
}
