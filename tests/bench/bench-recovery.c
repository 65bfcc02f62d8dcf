/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How long a killed guestmapd is away: bench-recovery [--vms=N]
 *
 * It is killed while it serves N VMs, each with some RAM, and started again at once. The time goes
 * from the kill to the answer of ListVMs that has them all running; a call on each of them follows.
 * One of them has a guest, where there is KVM: it counts in its memory, which is watched by its
 * descriptor. The longest time for which the count stood still is compared with the same while
 * guestmapd was left alone.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bench/bench.h"
#include "tests/bus/world.h"

#define GUEST      "vm0"
#define GUEST_PATH GUESTMAP_PATH_VM "/" GUEST
#define COUNTER    0x2000
#define QUIET_USEC 500000

/* Whose reply does not matter. */
#define do_call(...) (void)sd_bus_message_unref(call(__VA_ARGS__))

typedef struct Watch Watch;

/* A thread that looks at what the guest counts. */
struct Watch {
        pthread_t thread;
        const volatile uint32_t *counter; /* NULL: there is no guest */
        atomic_bool stop;
        atomic_uint_fast64_t still_ns; /* the longest, since it was last taken */
};

static World world;
static sd_bus *bus;

static _Noreturn void give_up(const char *what) {
        fprintf(stderr, "bench-recovery: %s\n", what);
        (void)world_close(&world);
        exit(EXIT_FAILURE);
}

static sd_bus_message *call(const char *path, const char *interface, const char *member,
                            const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(bus, GUESTMAP_SERVICE, path, interface, member, &error, &reply,
                                types, arguments);
        va_end(arguments);
        if (r < 0)
                give_up(error.message);
        return reply;
}

static void create(size_t i, const char *accelerator) {
        char name[32], path[64];

        snprintf(name, sizeof(name), "vm%zu", i);
        snprintf(path, sizeof(path), "%s/%s", GUESTMAP_PATH_VM, name);
        do_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", name, 1,
                "accelerator", "s", accelerator);
        do_call(path, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", "ram", "ram",
                UINT64_C(0x10000), "system", UINT64_C(0), 0, 0);
}

static const volatile uint32_t *map_counter(void) {
        sd_bus_message *reply =
                call(GUEST_PATH "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 0);
        char *memory;
        int fd;

        if (sd_bus_message_read(reply, "h", &fd) <= 0)
                give_up("no memory");
        memory = mmap(NULL, 0x10000, PROT_READ, MAP_SHARED, fd, 0);
        sd_bus_message_unref(reply);
        if (memory == MAP_FAILED)
                give_up("mmap");
        return (const volatile uint32_t *)(memory + COUNTER);
}

/* inc dword [COUNTER]; jmp to that */
static void start_guest(Watch *watch) {
        do_call(GUEST_PATH, GUESTMAP_INTERFACE_VM, "AddVCPU", "ua{sv}", 0, 1, "mode", "s", "flat");
        do_call(GUEST_PATH "/space/memory", GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write", "tay",
                UINT64_C(0x1000), 8, 0xff, 0x05, 0, 0x20, 0, 0, 0xeb, 0xf8);
        do_call(GUEST_PATH "/vcpu/0", GUESTMAP_INTERFACE_VCPU, "SetRegisters", "a{st}", 1, "rip",
                UINT64_C(0x1000));
        do_call(GUEST_PATH "/vcpu/0", GUESTMAP_INTERFACE_VCPU, "Start", NULL);
        watch->counter = map_counter();
}

static void *look(void *userdata) {
        Watch *watch = userdata;
        uint32_t last = *watch->counter;
        uint64_t since = now_ns();

        while (!watch->stop) {
                uint32_t count = *watch->counter;
                uint64_t now = now_ns();

                if (now - since > watch->still_ns)
                        watch->still_ns = now - since;
                if (count != last)
                        since = now;
                last = count;
                usleep(100);
        }
        return NULL;
}

static bool all_run(size_t n) {
        sd_bus_message *reply = call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        const char *state;

        if (sd_bus_message_enter_container(reply, 'a', "(sots)") < 0)
                give_up("ListVMs");
        while (sd_bus_message_read(reply, "(sots)", NULL, NULL, NULL, &state) > 0)
                n -= strcmp(state, "running") == 0;
        sd_bus_message_unref(reply);
        return n == 0;
}

static void call_each(size_t n) {
        char path[64];

        for (size_t i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/vm%zu", GUESTMAP_PATH_VM, i);
                do_call(path, GUESTMAP_INTERFACE_MAP, "EnableRegion", "sba{sv}", "ram", 1, 0);
        }
}

static void measure(Watch *watch, size_t n) {
        uint64_t begin, served, called, quiet_ns;

        usleep(QUIET_USEC);
        quiet_ns = atomic_exchange(&watch->still_ns, 0);
        begin = now_ns();
        world_stop_daemon(&world, SIGKILL);
        if (!world_start_daemon(&world))
                give_up("guestmapd does not start");
        while (!all_run(n))
                usleep(1000);
        served = now_ns();
        call_each(n);
        called = now_ns();
        printf("{\"bench\":\"recovery\",\"vms\":%zu,\"recovered_ns\":%llu, "
               "\"each_called_ns\":%llu,\"guest\":%s,\"still_ns\":%llu, "
               "\"still_before_ns\":%llu}\n",
               n, (unsigned long long)(served - begin), (unsigned long long)(called - served),
               watch->counter ? "true" : "false", (unsigned long long)watch->still_ns,
               (unsigned long long)quiet_ns);
}

int main(int argc, char **argv) {
        size_t n = 1000;
        const BenchOption options[] = {{"vms", &n}, {}};
        bool kvm = access("/dev/kvm", R_OK | W_OK) == 0;
        Watch watch = {};

        bench_options(argc, argv, options);
        if (!world_open(&world, "dbus-daemon", GUESTMAPD, "--system") ||
            !(bus = world_connect(&world)))
                give_up("no bus");
        for (size_t i = 0; i < n; i++)
                create(i, i == 0 && kvm ? "kvm" : "none");
        if (kvm) {
                start_guest(&watch);
                if (pthread_create(&watch.thread, NULL, look, &watch) != 0)
                        give_up("no thread");
        }
        measure(&watch, n);
        watch.stop = true;
        if (kvm)
                (void)pthread_join(watch.thread, NULL);
        sd_bus_flush_close_unref(bus);
        return world_close(&world) ? EXIT_SUCCESS : EXIT_FAILURE;
}
