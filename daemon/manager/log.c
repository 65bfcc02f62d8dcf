/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "daemon/manager/log.h"

void log_vm(int priority, const char *vm, const char *format, ...) {
        char text[1024];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);

        if (!getenv("JOURNAL_STREAM"))
                fprintf(stderr, "guestmapd: %s%s%s%s\n", vm ? "VM \"" : "", vm ? vm : "",
                        vm ? "\": " : "", text);
        else if (vm)
                (void)sd_journal_send("MESSAGE=VM \"%s\": %s", vm, text, "PRIORITY=%i", priority,
                                      "GUESTMAP_VM=%s", vm, NULL);
        else
                (void)sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, NULL);
}
