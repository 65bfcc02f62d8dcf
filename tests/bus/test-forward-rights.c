/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd's table of rights against the interfaces as they are published: test-forward-rights DIR
 *
 * A method that the table lacks would ask for every right, one that it invents would guard nothing.
 */

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "daemon/manager/rights.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

#define METHODS_MAX 256

typedef struct Method Method;

struct Method {
        char interface[64];
        char member[64];
        char signature[16];
};

static const char *api;
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

static void test_rights_asked_for(void **state) {
        static const char properties[] = "org.freedesktop.DBus.Properties";

        assert_int_equal(rights_needed(GUESTMAP_INTERFACE_MAP, "AddRegion"), GUESTMAP_RIGHT_MODIFY);
        assert_int_equal(rights_needed(GUESTMAP_INTERFACE_REGION, "GetMemory"),
                         GUESTMAP_RIGHT_ACCESS_MEMORY);
        assert_int_equal(rights_needed(properties, "Set"), GUESTMAP_RIGHT_MODIFY);
        assert_int_equal(rights_needed(properties, "Get"), GUESTMAP_RIGHT_INSPECT);
        /* A member of another interface, an unknown one, and one that names no interface. */
        assert_int_equal(rights_needed(GUESTMAP_INTERFACE_VM, "AddRegion"), GUESTMAP_RIGHTS_ALL);
        assert_int_equal(rights_needed(NULL, "Unheard"), GUESTMAP_RIGHTS_ALL);
        assert_int_equal(rights_needed(NULL, "AddRegion"), GUESTMAP_RIGHT_MODIFY);
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
                cmocka_unit_test(test_rights_asked_for),
                cmocka_unit_test(test_arguments_taken),
        };

        if (argc != 2)
                return 2;
        api = argv[1];
        return cmocka_run_group_tests(tests, read_documents, NULL);
}
