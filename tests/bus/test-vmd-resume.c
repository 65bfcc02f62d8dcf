/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest whose VM's process ends: stopped in order it goes on with the next one
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/served.h"
#include "tests/common/unit.h"

static const char *program;

static int setup(void **state) {
        *state = served_new(program, "kvm");
        return 0;
}

static int teardown(void **state) {
        served_free(*state);
        return 0;
}

/* Counts at 0x2000, as long as it runs. */
static const uint8_t counting[] = {
        0x48, 0xff, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00, /* inc qword [0x2000] */
        0xeb, 0xf6,                                     /* jmp to it */
};

#define VCPU_0 RIG_VM "/vcpu/0"

static uint64_t count(Served *served) {
        const void *bytes;
        uint64_t n;
        size_t size;

        served_read(served, 0x2000);
        assert_true(sd_bus_message_rewind(served->rig->reply, true) >= 0);
        assert_true(sd_bus_message_read_array(served->rig->reply, 'y', &bytes, &size) > 0);
        assert_int_equal(size, sizeof(n));
        memcpy(&n, bytes, sizeof(n));
        return n;
}

static void await_count(Served *served, uint64_t n) {
        while (count(served) < n)
                ;
}

static void load_guest(Served *served) {
        char program_8[9] = {};

        rig_add(served->rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        memcpy(program_8, counting, 8);
        served_write(served, 0x1000, program_8);
        memcpy(program_8, counting + 8, 2);
        served_write(served, 0x1008, program_8);
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 2, "mode", "s",
                                     "long", "page-tables", "t", UINT64_C(0x10000)),
                            "/vcpu/0");
        rig_call(served->rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", UINT64_C(0x1000));
        assert_string_equal(rig_call(served->rig, VCPU_0, "VCPU.Start", ""), "");
        await_count(served, 100);
}

/* Where it was; killed, its memory is there to be looked at. */
static void test_goes_on(void **state) {
        Served *served = *state;
        uint64_t before;

        load_guest(served);
        before = count(served);
        served_restart(served, SIGTERM);
        assert_string_equal(served_get(served, "State"), "running");
        assert_string_equal(rig_get(served->rig, VCPU_0, "org.guestmap1.VCPU", "State"), "running");
        assert_true(count(served) >= before);
        await_count(served, count(served) + 100);
        rig_call(served->rig, RIG_VM, "VM.Pause", "");
        before = count(served);
        served_restart(served, SIGTERM);
        assert_string_equal(served_get(served, "State"), "paused");
        assert_int_equal(count(served), before);
        rig_call(served->rig, RIG_VM, "VM.Resume", "");
        await_count(served, before + 100);
        served_restart(served, SIGKILL);
        assert_string_equal(served_get(served, "State"), "vcpus-lost");
        assert_string_equal(served_get(served, "Lost"), "[vcpus]");
        assert_true(count(served) >= before + 100);
        served_restart(served, SIGTERM);
        assert_string_equal(served_get(served, "State"), "vcpus-lost");
        rig_call(served->rig, RIG_VM, "VM.Resume", "");
        assert_string_equal(served_get(served, "State"), "running");
        assert_string_equal(served_get(served, "Lost"), "[]");
        served_restart(served, SIGKILL);
        assert_string_equal(served_get(served, "State"), "running");
        assert_string_equal(served_get(served, "Lost"), "[]");
}

/* A byte of a file in the VM's directory is another one. */
static void damage(const Served *served, const char *name) {
        char path[80], byte;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", served->keeper->directory, name);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, 0x800), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, 0x800), 1);
        close(fd);
}

/* However many processes follow, none has a guest, and each says so. */
static void assert_stays_lost(Served *served, const char *lost) {
        static const int signals[] = {SIGKILL, SIGTERM, SIGKILL};

        for (size_t i = 0; i <= ELEMENTS_OF(signals); i++) {
                assert_string_equal(served_get(served, "State"), "vcpus-lost");
                assert_string_equal(served_get(served, "Lost"), lost);
                assert_string_equal(rig_call(served->rig, RIG_VM, "VM.ListVCPUs", ""), "[]");
                if (i < ELEMENTS_OF(signals))
                        served_restart(served, signals[i]);
        }
}

/* Registers that are not what they were, or memory that is not, are no guest to go on with. */
static void test_lost(void **state) {
        Served *served = *state;

        load_guest(served);
        served_end(served, SIGTERM);
        damage(served, "vcpus");
        served_start(served);
        assert_stays_lost(served, "[vcpus]");
        rig_remove(served->rig, RIG_VM, "ram");
        load_guest(served);
        assert_string_equal(served_get(served, "State"), "running");
        served_end(served, SIGTERM);
        keeper_clear(served->keeper);
        served_start(served);
        assert_stays_lost(served, "[memory, vcpus]");
        rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0);
        assert_string_equal(served_get(served, "Lost"), "[memory]");
        served_restart(served, SIGTERM);
        assert_string_equal(served_get(served, "State"), "running");
        assert_string_equal(served_get(served, "Lost"), "[]");
}

static struct stat status_of(const Served *served, const char *name) {
        struct stat status;
        char path[80];

        snprintf(path, sizeof(path), "%s/%s", served->keeper->directory, name);
        assert_int_equal(stat(path, &status), 0);
        return status;
}

/* What a vCPU is goes where there is room for it since it was added, however full the disk is. */
static void test_room(void **state) {
        Served *served = *state;
        struct stat before, after;

        load_guest(served);
        before = status_of(served, "vcpus");
        assert_true(before.st_blocks * 512 >= before.st_size);
        served_end(served, SIGTERM);
        after = status_of(served, "vcpus");
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_size, before.st_size);
        assert_int_equal(after.st_blocks, before.st_blocks);
        served_start(served);
        assert_string_equal(served_get(served, "State"), "running");
        await_count(served, count(served) + 100);
        assert_int_equal(status_of(served, "vcpus").st_blocks, before.st_blocks);
}

/* A directory stands where that file of the VM's is to be written. */
static void obstruct(const Served *served, const char *name) {
        char path[80], aside[80];

        snprintf(path, sizeof(path), "%s/%s", served->keeper->directory, name);
        snprintf(aside, sizeof(aside), "%s/aside", served->keeper->directory);
        assert_true(rename(path, aside) == 0 || errno == ENOENT);
        assert_int_equal(mkdir(path, 0700), 0);
}

static void clear(const Served *served, const char *name) {
        char path[80], aside[80];

        snprintf(path, sizeof(path), "%s/%s", served->keeper->directory, name);
        snprintf(aside, sizeof(aside), "%s/aside", served->keeper->directory);
        assert_int_equal(rmdir(path), 0);
        assert_true(rename(aside, path) == 0 || errno == ENOENT);
}

static void assert_not_written(const Served *served, const char *text) {
        assert_true(sd_bus_message_is_method_error(served->rig->reply, NULL));
        assert_non_null(strstr(text, "VM \"test\": its file \"vcpus\" cannot be written: Is a"));
}

/* Of what the next process would not know nothing is done. */
static void test_not_noted(void **state) {
        Served *served = *state;

        obstruct(served, "vcpus");
        assert_not_written(served, rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0));
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.ListVCPUs", ""), "[]");
        clear(served, "vcpus");
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0), "/vcpu/0");
        obstruct(served, "vcpus");
        assert_not_written(served, rig_call(served->rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", 0, 0));
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.ListVCPUs", ""),
                            "[(0 /vcpu/0 stopped)]");
        clear(served, "vcpus");
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", 0, 0), "");
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.ListVCPUs", ""), "[]");
}

/* For this test, and the processes that it starts from now on. */
static bool mount_ramfs(const char *directory) {
        return unshare(CLONE_NEWNS) == 0 &&
               mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("none", directory, "ramfs", 0, NULL) == 0;
}

static void make_empty(const char *path) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

/* Some file systems have no fallocate(): a ramfs, and NFS before 4.2. */
static void test_no_fallocate(void **state) {
        char directory[] = "/tmp/guestmap-ramfs-XXXXXX", file[40], path[80];
        Served *served = *state;

        assert_non_null(mkdtemp(directory));
        if (!mount_ramfs(directory)) {
                rmdir(directory);
                print_message("# no file system can be mounted here\n");
                skip();
        }
        served_restart(served, SIGTERM);
        snprintf(file, sizeof(file), "%s/vcpus", directory);
        make_empty(file);
        snprintf(path, sizeof(path), "%s/vcpus", served->keeper->directory);
        make_empty(path);
        assert_int_equal(mount(file, path, NULL, MS_BIND, NULL), 0);
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0), "/vcpu/0");
        served_restart(served, SIGTERM);
        assert_string_equal(served_get(served, "Lost"), "[]");
        assert_string_equal(rig_call(served->rig, RIG_VM, "VM.ListVCPUs", ""),
                            "[(0 /vcpu/0 stopped)]");
        assert_int_equal(umount2(path, MNT_DETACH), 0);
        assert_int_equal(umount2(directory, MNT_DETACH), 0);
        assert_int_equal(rmdir(directory), 0);
}

/* Resume fails for that file of the VM's. */
static void fail_to_resume(Served *served, const char *name) {
        obstruct(served, name);
        rig_call(served->rig, RIG_VM, "VM.Resume", "");
        assert_true(sd_bus_message_is_method_error(served->rig->reply, NULL));
        clear(served, name);
}

/* What failed has had no effect, nor will it have one on the next process. */
static void test_not_resumed(void **state) {
        static const char *const names[] = {"vcpus", "facts.new"};
        Served *served = *state;

        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0);
                rig_call(served->rig, RIG_VM, "VM.Pause", "");
                served_restart(served, SIGKILL);
                fail_to_resume(served, names[i]);
                assert_string_equal(served_get(served, "State"), "vcpus-lost");
                served_restart(served, SIGKILL);
                assert_string_equal(served_get(served, "State"), "vcpus-lost");
                rig_call(served->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 0);
                assert_string_equal(served_get(served, "State"), "paused");
                rig_call(served->rig, RIG_VM, "VM.Resume", "");
                assert_string_equal(served_get(served, "State"), "running");
                rig_call(served->rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", 0, 0);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {TEST(goes_on),   TEST(lost),        TEST(room),
                                           TEST(not_noted), TEST(not_resumed), TEST(no_fallocate)};
        int r = kvm_probe();

        if (argc != 2)
                return EXIT_FAILURE;
        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return EXIT_SUCCESS;
        }
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
