/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/vm/compaction-dbus.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/service-dbus.h"

typedef struct CompactionJob CompactionJob;

struct CompactionJob {
        Service *service;
        Detail detail;
};

static int work(const Cancel *cancel, void *userdata) {
        CompactionJob *job = userdata;

        return compaction_run(job->service->vm, &job->detail);
}

static void done(int result, void *userdata) {
        _cleanup_(freep) CompactionJob *job = userdata;

        if (result != 0)
                log_warning("the journal is not compacted: %s",
                            result < 0 ? strerror(-result) : job->detail.text);
        gate_take_back(&job->service->gate);
}

static int start(Service *service) {
        _cleanup_(freep) CompactionJob *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        job->service = service;
        r = gate_start_job(&service->gate, NULL, NULL, work, done, job, &job->detail);
        if (r == 0)
                TAKE_PTR(job);
        return r;
}

/* What cannot be begun now is begun after another commit; so is what has the tree in its way. */
static int on_idle(sd_event_source *source, void *userdata) {
        Service *service = userdata;

        if (!service->gate.is_lent && compaction_is_due(service->vm))
                (void)start(service);
        return 0;
}

int compaction_init(Service *service) {
        int r;

        r = sd_event_add_defer(service->event, &service->compaction, on_idle, service);
        return r < 0 ? r : sd_event_source_set_enabled(service->compaction, SD_EVENT_OFF);
}

void compaction_consider(Service *service) {
        if (compaction_is_due(service->vm))
                (void)sd_event_source_set_enabled(service->compaction, SD_EVENT_ONESHOT);
}
