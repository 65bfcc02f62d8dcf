/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is sent to the service manager, when it counts as kept, and what comes back from it
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/vm/fd-store.h"
#include "daemon/vm/vm-error.h"
#include "tests/common/deaf-manager.h"
#include "tests/common/keeper.h"
#include "tests/common/unit.h"

typedef struct Scene Scene;

struct Scene {
        Keeper *keeper;
        FDStore *store;
        int files[4]; /* four open files */
};

static int setup(void **state) {
        Scene *scene = calloc(1, sizeof(*scene));

        assert_non_null(scene);
        for (size_t i = 0; i < ELEMENTS_OF(scene->files); i++) {
                scene->files[i] = memfd_create("kept", MFD_CLOEXEC);
                assert_true(scene->files[i] >= 0);
                assert_int_equal(pwrite(scene->files[i], &i, sizeof(i), 0), sizeof(i));
        }
        scene->keeper = keeper_new(3);
        assert_int_equal(fd_store_new(&scene->store), 0);
        fd_store_end_recovery(scene->store);
        *state = scene;
        return 0;
}

static int teardown(void **state) {
        Scene *scene = *state;

        fd_store_free(scene->store);
        keeper_free(scene->keeper);
        for (size_t i = 0; i < ELEMENTS_OF(scene->files); i++)
                close(scene->files[i]);
        free(scene);
        return 0;
}

static Kept *must_keep(Scene *scene, const char *kind, uint64_t number, int fd) {
        Kept *kept = NULL;

        assert_int_equal(fd_store_keep(scene->store, kind, number, fd, &kept, NULL), 0);
        assert_non_null(kept);
        return kept;
}

static void must_settle(Scene *scene) {
        Detail detail;

        if (fd_store_settle(scene->store, &detail) != 0)
                fail_msg("%s", detail.text);
        assert_true(fd_store_is_settled(scene->store));
}

/* Which of the files it is. */
static size_t number_in(int fd) {
        size_t number = SIZE_MAX;

        assert_int_equal(pread(fd, &number, sizeof(number), 0), sizeof(number));
        return number;
}

static void test_kept_until_all_leave(void **state) {
        Scene *scene = *state;
        Kept *memory, *bell;

        assert_true(fd_store_is_settled(scene->store));
        memory = must_keep(scene, "backing", 7, scene->files[0]);
        bell = must_keep(scene, "ioeventfd", 0, scene->files[1]);
        assert_int_equal(memory->number, 7);
        assert_int_equal(bell->number, 8);
        assert_false(fd_store_is_settled(scene->store));
        assert_text(keeper_names(scene->keeper), "");
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-7 ioeventfd-8");
        assert_int_equal(number_in(keeper_find(scene->keeper, "ioeventfd-8")), 1);
        kept_leave(memory);
        assert_text(keeper_names(scene->keeper), "ioeventfd-8");
        kept_leave(bell);
        assert_text(keeper_names(scene->keeper), "");
}

/* A manager would drop the second and leave its name without a descriptor. */
static void test_one_open_file(void **state) {
        Scene *scene = *state;
        int duplicate = fcntl(scene->files[0], F_DUPFD_CLOEXEC, 0);
        Kept *first = must_keep(scene, "backing", 1, scene->files[0]);
        Kept *second = must_keep(scene, "backing", 2, duplicate);

        close(duplicate);
        assert_int_equal(second->number, 1);
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1");
        kept_leave(first);
        assert_text(keeper_names(scene->keeper), "backing-1");
        kept_leave(second);
        assert_text(keeper_names(scene->keeper), "");
        /* The same file again is a new one for all concerned. */
        first = must_keep(scene, "backing", 3, scene->files[0]);
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-3");
        kept_leave(first);
}

/* Who looks for it by kind and number finds the one or the other. */
static void test_one_kind(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]), *none = NULL;
        Detail detail;

        assert_int_equal(
                fd_store_keep(scene->store, "ioeventfd", 0, scene->files[0], &none, &detail),
                MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text, "the descriptor is of a file that is kept as backing-1, "
                                         "and cannot be ioeventfd-1, too");
        assert_null(none);
        kept_leave(kept);
        kept_leave(must_keep(scene, "ioeventfd", 0, scene->files[0]));
}

/* What goes before it was sent never was. */
static void test_gone_before(void **state) {
        Scene *scene = *state;

        kept_leave(must_keep(scene, "backing", 1, scene->files[0]));
        assert_true(fd_store_is_settled(scene->store));
        assert_text(keeper_names(scene->keeper), "");
}

static void test_full(void **state) {
        Scene *scene = *state;
        Kept *kept[3], *none = NULL;
        Detail detail;

        for (unsigned i = 0; i < 3; i++)
                kept[i] = must_keep(scene, "backing", i + 1, scene->files[i]);
        assert_int_equal(fd_store_keep(scene->store, "backing", 4, scene->files[3], &none, &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(detail.text,
                            "StoredDescriptors: 3 are with the service manager, 3 allowed");
        /* One of a file that it has takes no room. */
        kept_leave(must_keep(scene, "backing", 4, scene->files[2]));
        kept_leave(kept[0]);
        kept[0] = must_keep(scene, "backing", 4, scene->files[3]);
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-2 backing-3 backing-4");
        for (unsigned i = 0; i < 3; i++)
                kept_leave(kept[i]);
}

/* Fewer than the manager would keep; what is there already stays. */
static void test_limit(void **state) {
        Scene *scene = *state;
        Kept *kept[2], *none = NULL;
        Detail detail;

        for (unsigned i = 0; i < 2; i++)
                kept[i] = must_keep(scene, "backing", i + 1, scene->files[i]);
        fd_store_set_limit(scene->store, 1);
        assert_int_equal(fd_store_keep(scene->store, "backing", 3, scene->files[2], &none, &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(detail.text,
                            "StoredDescriptors: 2 are with the service manager, 1 allowed");
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1 backing-2");
        for (unsigned i = 0; i < 2; i++)
                kept_leave(kept[i]);
}

static void *settle_elsewhere(void *data) {
        return fd_store_settle(data, NULL) == 0 ? data : NULL;
}

/* Sent is not settled. What comes meanwhile waits for the next barrier. */
static void test_barrier(void **state) {
        Scene *scene = *state;
        Kept *first = must_keep(scene, "backing", 1, scene->files[0]), *second;
        pthread_t thread;
        void *settled;

        keeper_hold(scene->keeper, true);
        assert_int_equal(pthread_create(&thread, NULL, settle_elsewhere, scene->store), 0);
        keeper_await_barriers(scene->keeper, 1);
        assert_false(fd_store_is_settled(scene->store));
        second = must_keep(scene, "backing", 2, scene->files[1]);
        keeper_hold(scene->keeper, false);
        assert_int_equal(pthread_join(thread, &settled), 0);
        assert_non_null(settled);
        assert_text(keeper_names(scene->keeper), "backing-1");
        assert_false(fd_store_is_settled(scene->store));
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1 backing-2");
        kept_leave(first);
        kept_leave(second);
}

/* So many that the manager has time for others in between. */
static void test_batches(void **state) {
        Scene *scene = *state;
        Kept *kept[130];
        FDStore *store;

        scene->keeper->n_max = ELEMENTS_OF(kept);
        assert_int_equal(setenv("FDSTORE", "130", true), 0);
        assert_int_equal(fd_store_new(&store), 0);
        fd_store_end_recovery(store);
        for (unsigned i = 0; i < ELEMENTS_OF(kept); i++) {
                int fd = memfd_create("kept", MFD_CLOEXEC);

                assert_int_equal(fd_store_keep(store, "backing", i + 1, fd, &kept[i], NULL), 0);
                close(fd);
        }
        assert_int_equal(fd_store_settle(store, NULL), 0);
        assert_true(fd_store_is_settled(store));
        keeper_await_barriers(scene->keeper, 3);
        assert_int_equal(scene->keeper->n_barriers, 3);
        assert_int_equal(scene->keeper->n, ELEMENTS_OF(kept));
        for (unsigned i = 0; i < ELEMENTS_OF(kept); i++)
                kept_leave(kept[i]);
        fd_store_free(store);
}

/* A manager that is not there has taken nothing; once it is, it takes all. */
static void test_no_manager(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);
        char away[80];
        Detail detail;

        snprintf(away, sizeof(away), "%s.away", scene->keeper->path);
        assert_int_equal(rename(scene->keeper->path, away), 0);
        assert_int_equal(fd_store_settle(scene->store, &detail), VM_E_NO_SPACE);
        assert_string_equal(detail.text, "descriptors: the service manager has not taken them: "
                                         "No such file or directory");
        assert_false(fd_store_is_settled(scene->store));
        assert_int_equal(rename(away, scene->keeper->path), 0);
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1");
        kept_leave(kept);
}

static void test_offered_again(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);

        must_settle(scene);
        keeper_clear(scene->keeper);
        fd_store_offer(scene->store);
        assert_false(fd_store_is_settled(scene->store));
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1");
        kept_leave(kept);
}

/* The end of a manager looks like an answer to what was on its way to it. */
static void test_lost_on_its_way(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);
        pthread_t thread;

        keeper_hold(scene->keeper, true);
        assert_int_equal(pthread_create(&thread, NULL, settle_elsewhere, scene->store), 0);
        keeper_await_barriers(scene->keeper, 1);
        keeper_clear(scene->keeper);
        fd_store_offer(scene->store);
        keeper_hold(scene->keeper, false);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(fd_store_is_settled(scene->store));
        must_settle(scene);
        assert_text(keeper_names(scene->keeper), "backing-1");
        kept_leave(kept);
}

static void test_refused(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);
        Detail detail;

        keeper_refuse(scene->keeper, EMFILE);
        assert_int_equal(fd_store_settle(scene->store, &detail), VM_E_NO_SPACE);
        assert_string_equal(detail.text, "descriptors: the service manager has not taken them: "
                                         "Too many open files");
        assert_false(fd_store_is_settled(scene->store));
        keeper_refuse(scene->keeper, 0);
        must_settle(scene);
        kept_leave(kept);
}

static bool has_room(FDStore *store) {
        struct pollfd room = {.fd = fd_store_room(store), .events = POLLIN};

        return poll(&room, 1, 0) == 1;
}

/* Whose object goes does not wait; the manager is told when it can be. */
static void test_deaf_to_removal(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);
        int fd;

        must_settle(scene);
        fd = deaf_manager_new();
        kept_leave(kept);
        assert_false(has_room(scene->store));
        assert_int_equal(deaf_manager_read(fd, "FDSTOREREMOVE=1\nFDNAME=backing-1"), 0);
        assert_true(has_room(scene->store));
        fd_store_flush(scene->store);
        assert_false(has_room(scene->store));
        assert_int_equal(deaf_manager_read(fd, "FDSTOREREMOVE=1\nFDNAME=backing-1"), 1);
        close(fd);
        assert_int_equal(setenv("NOTIFY_SOCKET", scene->keeper->path, true), 0);
}

/* The limit holds for sending, too, and nobody else waits for it. */
static void test_deaf_to_all(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);
        int fd = deaf_manager_new();
        Detail detail;

        assert_int_equal(fd_store_settle(scene->store, &detail), VM_E_NO_SPACE);
        assert_string_equal(detail.text, "descriptors: the service manager has not taken them: "
                                         "Connection timed out");
        kept_leave(kept);
        assert_int_equal(deaf_manager_read(fd, "FDSTORE=1\nFDNAME=backing-1\nFDPOLL=0"), 0);
        close(fd);
        assert_int_equal(setenv("NOTIFY_SOCKET", scene->keeper->path, true), 0);
}

/* An orderly end takes nothing from the manager. */
static void test_closed(void **state) {
        Scene *scene = *state;
        Kept *kept = must_keep(scene, "backing", 1, scene->files[0]);

        must_settle(scene);
        fd_store_close(scene->store);
        kept_leave(kept);
        assert_text(keeper_names(scene->keeper), "backing-1");
}

static void test_without_store(void **state) {
        Scene *scene = *state;
        Kept *kept = (Kept *)state;
        FDStore *store;

        assert_int_equal(fd_store_keep(NULL, "backing", 1, scene->files[0], &kept, NULL), 0);
        assert_null(kept);
        assert_int_equal(setenv("FDSTORE", "0", true), 0);
        assert_int_equal(fd_store_new(&store), 0);
        assert_int_equal(fd_store_keep(store, "backing", 1, scene->files[0], &kept, NULL), 0);
        assert_null(kept);
        assert_true(fd_store_is_settled(store));
        assert_true(fd_store_is_settled(NULL));
        assert_int_equal(fd_store_settle(NULL, NULL), 0);
        fd_store_free(store);
}

/* The next process, which was passed the files, under these names, and a socket. */
static bool find_and_claim(Scene *scene) {
        Kept *kept = NULL, *next = NULL;
        FDStore *store;

        if (fd_store_new(&store) < 0 || fd_store_socket(store) != 4 ||
            fd_store_find(store, "backing", 1) != 3 || fd_store_find(store, "ioeventfd", 9) != 5)
                return false;
        if (fd_store_keep(store, "backing", 1, 3, &kept, NULL) != 0 || kept->number != 1 ||
            !fd_store_is_settled(store))
                return false;
        /* Others may be about to claim the same. */
        kept_leave(kept);
        (void)fd_store_keep(store, "backing", 1, 3, &kept, NULL);
        fd_store_end_recovery(store);
        return fd_store_find(store, "ioeventfd", 9) < 0 &&
               fd_store_keep(store, "handler", 0, scene->files[3], &next, NULL) == 0 &&
               next->number == 10 && fd_store_settle(store, NULL) == 0;
}

static int listening_socket(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

/* In a process of its own, whose first descriptors they are. */
static void pass(const int *fds, int n, const char *names) {
        char number[16];

        for (int i = 0; i < n; i++)
                (void)fcntl(fds[i], F_DUPFD, 100 + i); /* out of the way, in order */
        for (int i = 0; i < n; i++)
                (void)dup2(100 + i, 3 + i);
        snprintf(number, sizeof(number), "%d", (int)getpid());
        setenv("LISTEN_PID", number, true);
        snprintf(number, sizeof(number), "%d", n);
        setenv("LISTEN_FDS", number, true);
        setenv("LISTEN_FDNAMES", names, true);
}

static void test_recovery(void **state) {
        Scene *scene = *state;
        int fds[] = {-1, listening_socket(), -1}, status;
        pid_t pid;

        (void)must_keep(scene, "backing", 1, scene->files[0]);
        (void)must_keep(scene, "ioeventfd", 9, scene->files[1]);
        must_settle(scene);
        fds[0] = keeper_find(scene->keeper, "backing-1");
        fds[2] = keeper_find(scene->keeper, "ioeventfd-9");
        pid = fork();
        if (pid == 0) {
                int last = fcntl(scene->files[3], F_DUPFD, 200);

                pass(fds, 3, "backing-1:bus:ioeventfd-9");
                scene->files[3] = last;
                _exit(!find_and_claim(scene));
        }
        close(fds[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_text(keeper_names(scene->keeper), "backing-1 handler-10");
        fd_store_close(scene->store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

UNIT_TESTS(TEST(kept_until_all_leave), TEST(one_open_file), TEST(one_kind), TEST(gone_before),
           TEST(full), TEST(limit), TEST(barrier), TEST(batches), TEST(no_manager),
           TEST(offered_again), TEST(lost_on_its_way), TEST(refused), TEST(deaf_to_removal),
           TEST(deaf_to_all), TEST(closed), TEST(without_store), TEST(recovery));
