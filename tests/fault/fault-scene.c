/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/private.h"
#include "lib/util/cleanup.h"
#include "tests/fault/fault-scene.h"

static const char layout[] =
        "{\"guestmap\":1,\"regions\":["
        "{\"name\":\"system\",\"kind\":\"container\",\"size\":\"2^64\"},"
        "{\"name\":\"io\",\"kind\":\"container\",\"size\":65536},"
        "{\"name\":\"ram\",\"kind\":\"ram\",\"size\":\"1MiB\",\"parent\":\"system\"},"
        "{\"name\":\"dimm\",\"kind\":\"ram\",\"size\":\"2MiB\",\"parent\":\"system\","
        "\"offset\":\"2GiB\"},"
        "{\"name\":\"window\",\"kind\":\"mmio\",\"size\":16384,\"parent\":\"system\","
        "\"offset\":\"640KiB\",\"priority\":1,\"enabled\":false,"
        "\"ioeventfds\":[{\"offset\":0,\"length\":4}]}],"
        "\"address-spaces\":[{\"name\":\"memory\",\"root\":\"system\"},"
        "{\"name\":\"io\",\"root\":\"io\"}]}";

bool fault_scene_init(FaultScene *scene, const char *program, const char *preload) {
        *scene = (FaultScene){
                .program = program,
                .preload = preload,
                .accelerator = access("/dev/kvm", R_OK | W_OK) == 0 ? "kvm" : "none",
                .directory = "/tmp/test-fault-XXXXXX",
        };
        scene->page_fd = memfd_create("faults", MFD_CLOEXEC);
        if (!mkdtemp(scene->directory) || scene->page_fd < 0 ||
            ftruncate(scene->page_fd, sizeof(FaultPage)) < 0)
                return false;
        snprintf(scene->socket, sizeof(scene->socket), "%s/socket", scene->directory);
        snprintf(scene->home, sizeof(scene->home), "%s/vm", scene->directory);
        if (mkdir(scene->home, 0700) < 0)
                return false;
        scene->page = mmap(NULL, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED,
                           scene->page_fd, 0);
        if (scene->page == MAP_FAILED)
                return false;
        fault_disarm(scene->page);
        return true;
}

void fault_scene_deinit(FaultScene *scene) {
        if (scene->vmd > 0)
                kill(scene->vmd, SIGKILL);
        empty_home(scene);
        (void)rmdir(scene->home);
        (void)unlink(scene->socket);
        (void)rmdir(scene->directory);
}

void start_vmd(FaultScene *scene) {
        char page[16];

        (void)unlink(scene->socket);
        scene->vmd = fork();
        assert_true(scene->vmd >= 0);
        if (scene->vmd > 0)
                return;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(page, sizeof(page), "%d", dup(scene->page_fd));
        setenv(FAULT_FD, page, 1);
        setenv("LD_PRELOAD", scene->preload, 1);
        execl(scene->program, scene->program, "--socket", scene->socket, "--directory", scene->home,
              (char *)NULL);
        _exit(127);
}

bool vmd_ended(FaultScene *scene, int *status) {
        if (waitpid(scene->vmd, status, WNOHANG) == 0)
                return false;
        scene->vmd = 0;
        return true;
}

static void step_time(void) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

sd_bus *connect_vmd(FaultScene *scene, int *status) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        sd_bus *bus = NULL;
        int fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene->socket);
        for (int i = 0; i < 5000; i++) {
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_true(fd >= 0);
                if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
                        assert_true(sd_bus_new(&bus) >= 0);
                        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
                        if (sd_bus_start(bus) >= 0)
                                return bus;
                        bus = sd_bus_close_unref(bus);
                } else {
                        close(fd);
                }
                if (vmd_ended(scene, status))
                        return NULL;
                step_time();
        }
        fail_msg("nobody listens");
        return NULL;
}

int set_up_vm(FaultScene *scene) {
        return sd_bus_call_method(
                scene->bus, NULL, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE, "Setup", NULL,
                NULL, "ssua{sv}", "test", "0123456789abcdef0123456789abcdef", UINT32_C(1000), 2,
                "accelerator", "s", scene->accelerator, "layout", "s", layout);
}

bool has_file(FaultScene *scene, const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", scene->home, name);
        return access(path, F_OK) == 0;
}

void empty_home(FaultScene *scene) {
        DIR *directory = opendir(scene->home);
        struct dirent *entry;

        assert_non_null(directory);
        while ((entry = readdir(directory)))
                (void)unlinkat(dirfd(directory), entry->d_name, 0);
        closedir(directory);
}

void end_vmd(FaultScene *scene) {
        int status;

        scene->bus = sd_bus_close_unref(scene->bus);
        if (scene->vmd == 0)
                return;
        kill(scene->vmd, SIGTERM);
        assert_int_equal(waitpid(scene->vmd, &status, 0), scene->vmd);
        scene->vmd = 0;
        assert_true(WIFEXITED(status));
}

int apply(FaultScene *scene, const char *edits, char **ret_words) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *document = NULL;
        int r;

        assert_true(asprintf(&document, "{\"guestmap\":1,\"edits\":[%s]}", edits) > 0);
        r = sd_bus_call_method(scene->bus, NULL, VM_PATH, GUESTMAP_INTERFACE_MAP, "Apply", &error,
                               NULL, "sa{sv}", document, 0);
        if (ret_words)
                *ret_words = strdup(error.message ?: "");
        return r < 0 ? r : 0;
}

void must_apply(FaultScene *scene, const char *edits) {
        char *words;

        if (apply(scene, edits, &words) < 0)
                fail_msg("%s: %s", edits, words);
        free(words);
}

unsigned count_descriptors(FaultScene *scene) {
        char path[64];
        unsigned n = 0;
        DIR *directory;

        snprintf(path, sizeof(path), "/proc/%d/fd", scene->vmd);
        directory = opendir(path);
        assert_non_null(directory);
        while (readdir(directory))
                n++;
        closedir(directory);
        return n;
}

unsigned n_descriptors(FaultScene *scene, unsigned expected) {
        unsigned n = count_descriptors(scene);

        for (int i = 0; n != expected && i < 1000; i++) {
                step_time();
                n = count_descriptors(scene);
        }
        return n;
}

unsigned settled_descriptors(FaultScene *scene) {
        unsigned n = count_descriptors(scene);

        for (int same = 0; same < 50; same++) {
                step_time();
                if (count_descriptors(scene) != n)
                        same = 0;
                n = count_descriptors(scene);
        }
        return n;
}

static bool memory_is_mapped(FaultScene *scene) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[64], line[512];

        snprintf(path, sizeof(path), "/proc/%d/maps", scene->vmd);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file))
                if (strstr(line, "/memfd:new "))
                        return true;
        return false;
}

bool memory_is_left(FaultScene *scene) {
        for (int i = 0; i < 1000 && memory_is_mapped(scene); i++)
                step_time();
        return memory_is_mapped(scene);
}

static void print_reply(FaultScene *scene, FILE *out, const char *path, const char *interface,
                        const char *member, const char *types) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(scene->bus, NULL, path, interface, member, &error, &reply, types,
                               0) < 0)
                fail_msg("%s: %s", member, error.message);
        assert_true(sd_bus_message_dump(reply, out, 0) >= 0);
}

char *map_text(FaultScene *scene) {
        char *text = NULL, *line, *to;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        print_reply(scene, out, VM_PATH, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}");
        print_reply(scene, out, VM_PATH, GUESTMAP_INTERFACE_VM, "GetSlots", NULL);
        print_reply(scene, out, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL);
        fclose(out);
        to = text;
        for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                if (strchr("! ", line[0]) && !strstr(line, "ReplyCookie")) {
                        memmove(to, line, strlen(line) + 1);
                        to += strlen(to);
                        *to++ = '\n';
                }
        *to = '\0';
        return text;
}

uint64_t generation(FaultScene *scene) {
        uint64_t value;

        assert_true(sd_bus_get_property_trivial(scene->bus, NULL, VM_PATH, GUESTMAP_INTERFACE_VM,
                                                "Generation", NULL, 't', &value) >= 0);
        return value;
}

void reconnect(FaultScene *scene) {
        int status;

        scene->bus = sd_bus_close_unref(scene->bus);
        scene->bus = connect_vmd(scene, &status);
        if (!scene->bus)
                fail_msg("the process has ended: %d", status);
}
