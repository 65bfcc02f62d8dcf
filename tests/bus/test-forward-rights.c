/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of rights against the interfaces and the policy as they are published:
 * test-forward-rights API POLICY
 *
 * A method that the table lacks would be an administrator's, one that it invents would guard
 * nothing. An action that polkit is not told of is nobody's.
 */

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "daemon/common/rights.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

#define METHODS_MAX 256
#define VM          GUESTMAP_PATH_VM "/a"

typedef struct Method Method;

struct Method {
        char interface[64];
        char member[64];
        char signature[16];
};

static const char *api, *policy;
static Method methods[METHODS_MAX];
static size_t n_methods;

/* What goes in, of the method that was read last. */
static void read_argument(const char *line) {
        char type[16];

        if (strstr(line, "direction=\"in\"") &&
            sscanf(line, " <arg name=\"%*[^\"]\" type=\"%15[^\"]\"", type) == 1)
                strcat(methods[n_methods - 1].signature, type);
}

/* One element a line. What is overlooked here is missed by the second test. */
static void read_document(const char *path) {
        char line[512], interface[64] = "", member[64];
        FILE *file = fopen(path, "re");

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                (void)sscanf(line, " <interface name=\"%63[^\"]\"", interface);
                read_argument(line);
                if (sscanf(line, " <method name=\"%63[^\"]\"", member) != 1)
                        continue;
                assert_true(n_methods < METHODS_MAX);
                memcpy(methods[n_methods].interface, interface, sizeof(interface));
                memcpy(methods[n_methods++].member, member, sizeof(member));
        }
        fclose(file);
}

static int read_documents(void **state) {
        char pattern[256];
        glob_t found;

        snprintf(pattern, sizeof(pattern), "%s/org.guestmap1.*.xml", api);
        if (glob(pattern, 0, NULL, &found) != 0)
                return -1;
        for (size_t i = 0; i < found.gl_pathc; i++)
                read_document(found.gl_pathv[i]);
        globfree(&found);
        return 0;
}

static const MethodRight *find_row(const Method *method) {
        for (size_t i = 0; i < n_method_rights; i++)
                if (strcmp(method_rights[i].interface, method->interface) == 0 &&
                    strcmp(method_rights[i].member, method->member) == 0)
                        return &method_rights[i];
        return NULL;
}

static void test_every_method_has_a_right(void **state) {
        assert_true(n_methods > 30);
        for (size_t i = 0; i < n_methods; i++)
                if (!find_row(&methods[i]))
                        fail_msg("%s.%s has none", methods[i].interface, methods[i].member);
                else
                        assert_string_equal(find_row(&methods[i])->signature, methods[i].signature);
}

static void test_every_right_has_a_method(void **state) {
        for (size_t i = 0; i < n_method_rights; i++) {
                const MethodRight *row = &method_rights[i];
                size_t j = 0;

                if (strncmp(row->interface, "org.freedesktop.", 16) == 0)
                        continue;
                while (j < n_methods && (strcmp(methods[j].interface, row->interface) != 0 ||
                                         strcmp(methods[j].member, row->member) != 0))
                        j++;
                if (j == n_methods)
                        fail_msg("there is no %s.%s", row->interface, row->member);
        }
}

/* A call need not name its interface. */
static void test_a_name_is_one_right(void **state) {
        for (size_t i = 0; i < n_method_rights; i++)
                for (size_t j = 0; j < i; j++)
                        if (strcmp(method_rights[i].member, method_rights[j].member) == 0)
                                assert_int_equal(method_rights[i].right, method_rights[j].right);
}

static void assert_needed(uint32_t right, const char *path, const char *interface,
                          const char *member) {
        assert_int_equal(call_right(path, interface, member), right);
}

static void test_rights_asked_for(void **state) {
        static const char properties[] = "org.freedesktop.DBus.Properties";

        assert_needed(GUESTMAP_RIGHT_CREATE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM");
        assert_needed(GUESTMAP_RIGHT_ADMIN, VM, GUESTMAP_INTERFACE_VM, "Destroy");
        assert_needed(GUESTMAP_RIGHT_MODIFY, VM, GUESTMAP_INTERFACE_MAP, "AddRegion");
        assert_needed(GUESTMAP_RIGHT_ACCESS_MEMORY, VM "/region/a", GUESTMAP_INTERFACE_REGION,
                      "GetMemory");
        assert_needed(GUESTMAP_RIGHT_MODIFY, VM, properties, "Set");
        assert_needed(GUESTMAP_RIGHT_INSPECT, VM, properties, "Get");
        /* A member of another interface, an unknown one, and one that names no interface. */
        assert_needed(GUESTMAP_RIGHT_ADMIN, VM, GUESTMAP_INTERFACE_VM, "AddRegion");
        assert_needed(GUESTMAP_RIGHT_ADMIN, VM, NULL, "Unheard");
        assert_needed(GUESTMAP_RIGHT_MODIFY, VM, NULL, "AddRegion");
}

/* Begin asks, what is done with the transaction does not: by no other object's path. */
static void test_transactions_ask_once(void **state) {
        static const char *const others[] = {
                VM,
                VM "/transaction",
                VM "/transactions/1",
                VM "/region/transaction",
                VM "/region/transaction/1",
                GUESTMAP_PATH "/transaction/1",
                GUESTMAP_PATH_VM "/transaction/1",
                GUESTMAP_PATH "/vms/a/transaction/1",
                "/",
        };
        static const char one[] = VM "/transaction/1";

        assert_needed(GUESTMAP_RIGHT_MODIFY, VM, GUESTMAP_INTERFACE_VM, "Begin");
        assert_needed(GUESTMAP_RIGHT_NONE, one, GUESTMAP_INTERFACE_TRANSACTION, "Commit");
        assert_needed(GUESTMAP_RIGHT_NONE, one, GUESTMAP_INTERFACE_MAP, "AddRegion");
        assert_needed(GUESTMAP_RIGHT_NONE, one, NULL, "Apply");
        assert_needed(GUESTMAP_RIGHT_INSPECT, one, "org.freedesktop.DBus.Properties", "Get");
        assert_needed(GUESTMAP_RIGHT_ADMIN, one, GUESTMAP_INTERFACE_MAP, "Unheard");
        assert_needed(GUESTMAP_RIGHT_ACCESS_MEMORY, one, GUESTMAP_INTERFACE_VM, "GetBacking");
        for (size_t i = 0; i < ELEMENTS_OF(others); i++)
                assert_needed(GUESTMAP_RIGHT_MODIFY, others[i], GUESTMAP_INTERFACE_MAP, "Apply");
        /* It is a change all the same. */
        assert_int_equal(method_right(GUESTMAP_INTERFACE_TRANSACTION, "Commit"),
                         GUESTMAP_RIGHT_MODIFY);
}

/* How often a line with these words is in the policy. */
static unsigned count_lines(const char *words) {
        char line[512];
        unsigned n = 0;
        FILE *file = fopen(policy, "re");

        assert_non_null(file);
        while (fgets(line, sizeof(line), file))
                n += strstr(line, words) ? 1 : 0;
        fclose(file);
        return n;
}

static void test_every_right_is_an_action(void **state) {
        unsigned n_rights = 0;
        char words[96];

        for (uint32_t right = 1; right & GUESTMAP_RIGHTS_ALL; right <<= 1, n_rights++) {
                assert_non_null(right_verb(right));
                snprintf(words, sizeof(words), "<action id=\"%s\">", right_action(right));
                assert_int_equal(count_lines(words), 1);
        }
        assert_int_equal(count_lines("<action "), n_rights);
        assert_int_equal(count_lines("<annotate key=\"org.freedesktop.policykit.owner\">"
                                     "unix-user:guestmap<"),
                         n_rights);
}

static void test_arguments_taken(void **state) {
        assert_true(rights_take(GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}"));
        assert_false(rights_take(GUESTMAP_INTERFACE_MAP, "AddRegion", "sststi"));
        assert_false(rights_take(GUESTMAP_INTERFACE_VM, "GetSlots", "ah"));
        assert_false(rights_take(NULL, "GetSlots", "ah"));
        assert_true(rights_take(NULL, "GetSlots", ""));
        /* What is not known is the process' to refuse. */
        assert_true(rights_take(GUESTMAP_INTERFACE_VM, "AddRegion", "ah"));
        assert_true(rights_take(NULL, "Unheard", "ah"));
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_method_has_a_right),
                cmocka_unit_test(test_every_right_has_a_method),
                cmocka_unit_test(test_a_name_is_one_right),
                cmocka_unit_test(test_rights_asked_for),
                cmocka_unit_test(test_transactions_ask_once),
                cmocka_unit_test(test_every_right_is_an_action),
                cmocka_unit_test(test_arguments_taken),
        };

        if (argc != 3)
                return 2;
        api = argv[1];
        policy = argv[2];
        return cmocka_run_group_tests(tests, read_documents, NULL);
}
