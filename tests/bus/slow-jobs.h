/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slow jobs: all places for jobs taken, so that what is started next stays where it is
 *
 * A call that becomes a job waits, with what it has borrowed, until slow_jobs_end(). They end with
 * the service, too.
 */

#include "daemon/vm/job.h"

void slow_jobs_begin(Jobs *jobs);
void slow_jobs_end(void);
