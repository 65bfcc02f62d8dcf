/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fsck: what a VM could be made of again
 *
 * guestmap-vmd knows what a journal says. This only finds both.
 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "api/names.h"
#include "client/client.h"
#include "client/json-print.h"
#include "client/verb.h"

/* The program beside ours where nothing is installed, else the one that is. */
static const char *find_program(char *buffer, size_t size) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n < 0)
                return GUESTMAP_VMD_PATH;
        self[n] = '\0';
        slash = strrchr(self, '/');
        *slash = '\0';
        snprintf(buffer, size, "%s/../daemon/guestmap-vmd", self);
        return access(buffer, X_OK) == 0 ? buffer : GUESTMAP_VMD_PATH;
}

static int run(const char *program, const char *directory, bool json) {
        execl(program, program, "--check", directory, json ? "--json" : NULL, NULL);
        return fail("%s: %s", program, strerror(errno));
}

/* What it says in one line is printed as all else is. */
static int run_pretty(Client *client, const char *program, const char *directory) {
        _cleanup_(json_putp) json_object *object = NULL;
        int ends[2], status;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return fail("%s: no pipe to it: %s", program, strerror(errno));
        pid = fork();
        if (pid == 0) {
                (void)dup2(ends[1], STDOUT_FILENO);
                (void)run(program, directory, true);
                _exit(EXIT_FAILURE);
        }
        close(ends[1]);
        if (pid > 0)
                object = json_object_from_fd(ends[0]);
        close(ends[0]);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return fail("%s did not run to its end", program);
        if (object)
                json_print(&client->output, object);
        return WEXITSTATUS(status);
}

static int check(Client *client, const char *directory) {
        char buffer[PATH_MAX + 32];
        const char *program = find_program(buffer, sizeof(buffer));

        if (client->output.json == JSON_PRETTY)
                return run_pretty(client, program, directory);
        return run(program, directory, client->output.json != JSON_OFF);
}

/* A service has it where only its process and root come: an owner has rights, but no files. */
static int check_of(Client *client, const char *name, const char *directory) {
        if (!directory[0])
                return fail("VM \"%s\" has no journal", name);
        if (access(directory, R_OK | X_OK) < 0 && errno == EACCES)
                return fail("VM \"%s\": %s is for root to read: sudo guestmapctl fsck %s", name,
                            directory, name);
        return check(client, directory);
}

/* A name has no slash. */
static int check_vm(Client *client, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) char *path = NULL;
        const char *directory;
        int r;

        r = client_find_vm(client, name, &path);
        if (r >= 0)
                r = client_method(client, &reply, path, "org.freedesktop.DBus.Properties", "Get",
                                  "ss", GUESTMAP_INTERFACE_VM, "Directory");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &directory);
        if (r < 0)
                return client_cannot_read(r);
        return check_of(client, name, directory);
}

int verb_fsck(Client *client, char **arguments) {
        if (client_given(client, OPTION_HOST) || client_given(client, OPTION_MACHINE))
                return fail("fsck reads files of this machine: run it where the VM is");
        return strchr(arguments[0], '/') ? check(client, arguments[0])
                                         : check_vm(client, arguments[0]);
}
