/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/offer-dbus.h"
#include "daemon/vm/service-dbus.h"

typedef struct OfferCall OfferCall;

/* The call, until it is answered. */
struct OfferCall {
        Service *service;
        sd_bus_message *m;
        Detail detail;
};

/* Waits for guestmapd, which the loop must not. */
static int offer(const Cancel *cancel, void *userdata) {
        OfferCall *call = userdata;

        fd_store_offer(call->service->store);
        return fd_store_settle(call->service->store, &call->detail);
}

static void done(int result, void *userdata) {
        OfferCall *call = userdata;

        if (result == 0)
                answer(call->service, call->m, "");
        else
                answer_error(call->service, call->m, result, &call->detail);
        sd_bus_message_unref(call->m);
        free(call);
}

int method_offer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Service *service = userdata;
        OfferCall *call;
        int r;

        if (!service->store)
                return sd_bus_reply_method_return(m, NULL);
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->service = service;
        call->m = sd_bus_message_ref(m);
        r = job_start(&service->jobs, NULL, offer, done, call, &call->detail);
        if (r != 0)
                done(r, call);
        return 1;
}
