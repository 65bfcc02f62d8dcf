/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/rota.h"

/* Nothing else is to be done: whatever has come from anybody was looked at. */
static int on_turn(sd_event_source *source, void *userdata) {
        Rota *rota = &((Manager *)userdata)->rota;
        RotaPlace *place = cds_list_first_entry(&rota->callers, RotaPlace, siblings);
        Caller *caller = caa_container_of(place, Caller, place);

        cds_list_del(&place->siblings);
        cds_list_add_tail(&place->siblings, &rota->callers);
        if (!caller_play_next(caller)) {
                rota_leave(caller);
                place->n_calls = 0;
        }
        return 0;
}

int rota_init(Manager *manager) {
        Rota *rota = &manager->rota;
        int r;

        CDS_INIT_LIST_HEAD(&rota->callers);
        r = sd_event_add_defer(manager->event, &rota->turn, on_turn, manager);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(rota->turn, SD_EVENT_PRIORITY_IDLE);
        return r < 0 ? r : sd_event_source_set_enabled(rota->turn, SD_EVENT_OFF);
}

void rota_deinit(Manager *manager) {
        sd_event_source_disable_unref(manager->rota.turn);
}

bool rota_pass(Caller *caller) {
        Rota *rota = &caller->manager->rota;
        RotaPlace *place = &caller->place;

        if (place->is_taken)
                return false;
        if (place->n_calls < ROTA_CALLS) {
                place->n_calls++;
                return true;
        }
        place->is_taken = true;
        cds_list_add_tail(&place->siblings, &rota->callers);
        (void)sd_event_source_set_enabled(rota->turn, SD_EVENT_ON);
        return false;
}

void rota_leave(Caller *caller) {
        Rota *rota = &caller->manager->rota;

        if (!caller->place.is_taken)
                return;
        cds_list_del(&caller->place.siblings);
        caller->place.is_taken = false;
        if (cds_list_empty(&rota->callers))
                (void)sd_event_source_set_enabled(rota->turn, SD_EVENT_OFF);
}
