/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "daemon/manager/unit-result-dbus.h"
#include "lib/util/cleanup.h"

typedef struct Result Result;

/* Texts are the message's. */
struct Result {
        const char *word, *status_text;
        int32_t exit_code, exit_status; /* as waitid() has them */
        int32_t status_errno;           /* 0: the text is not about a failure */
};

static const char *failed_step(int32_t status) {
        static const struct {
                int32_t status;
                const char *step;
        } steps[] = {
                {203, "its program cannot be executed"},
                {216, "its groups cannot be set"},
                {217, "its user cannot be set"},
                {219, "its control group cannot be set up"},
                {226, "its sandbox cannot be set up"},
                {228, "its system call filter cannot be set"},
                {233, "its directory in /run cannot be made"},
                {238, "its directory in /var/lib cannot be made"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(steps); i++)
                if (steps[i].status == status)
                        return steps[i].step;
        return NULL;
}

static int read_property(sd_bus_message *reply, Result *result) {
        const struct {
                const char *name, *type;
                void *value;
        } properties[] = {
                {"Result", "s", &result->word},
                {"ExecMainCode", "i", &result->exit_code},
                {"ExecMainStatus", "i", &result->exit_status},
                {"StatusText", "s", &result->status_text},
                {"StatusErrno", "i", &result->status_errno},
        };
        const char *name;
        int r;

        r = sd_bus_message_read(reply, "s", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS_OF(properties); i++)
                if (strcmp(name, properties[i].name) == 0)
                        return sd_bus_message_read(reply, "v", properties[i].type,
                                                   properties[i].value);
        return sd_bus_message_skip(reply, "v");
}

static int read_properties(sd_bus_message *reply, Result *result) {
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = read_property(reply, result);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

/* A service that systemd has started once more has not failed any more. */
int unit_result_read(sd_bus_message *reply, Detail *ret) {
        Result result = {"success", ""};
        const char *step;
        int r;

        r = read_properties(reply, &result);
        if (r < 0)
                return r;
        step = failed_step(result.exit_status);
        if (strcmp(result.word, "success") == 0)
                detail_set(ret, 0, "failed");
        else if (result.status_errno != 0 && result.status_text[0])
                detail_set(ret, 0, "%s: %s", result.word, result.status_text);
        else if (result.exit_code == CLD_EXITED && step)
                detail_set(ret, 0, "%s %" PRId32 ": %s", result.word, result.exit_status, step);
        else if (result.exit_code != 0)
                detail_set(ret, 0, "%s %" PRId32, result.word, result.exit_status);
        else
                detail_set(ret, 0, "%s", result.word);
        return 0;
}
