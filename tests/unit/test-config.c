/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/manager/config.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static char directory[] = "/tmp/guestmap-config-XXXXXX";
static char said[8192]; /* what the log was told since the last load */

static void write_file(const char *name, const char *text) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(text, file);
}

static void remove_file(const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_int_equal(unlink(path), 0);
}

/* The log goes to standard error, which is a file meanwhile. */
static Quotas load(bool user, const char *file) {
        _cleanup_(fclosep) FILE *caught = tmpfile();
        int real = dup(STDERR_FILENO);
        Quotas quotas;

        assert_non_null(caught);
        dup2(fileno(caught), STDERR_FILENO);
        assert_int_equal(config_load(&quotas, user, file), 0);
        dup2(real, STDERR_FILENO);
        close(real);
        rewind(caught);
        said[fread(said, 1, sizeof(said) - 1, caught)] = '\0';
        return quotas;
}

static Quotas load_text(const char *text) {
        char path[128];

        write_file("one.conf", text);
        snprintf(path, sizeof(path), "%s/one.conf", directory);
        return load(false, path);
}

static void assert_said(const char *part) {
        if (!strstr(said, part))
                fail_msg("\"%s\" lacks \"%s\"", said, part);
}

static void test_nothing(void **state) {
        Quotas quotas = load(false, "/nonexistent/guestmapd.conf");

        assert_memory_equal(&quotas, &quotas_default, sizeof(quotas));
        assert_string_equal(said, "");
}

static void test_values(void **state) {
        static const struct {
                const char *text;
                uint64_t value;
        } cases[] = {
                {"0", 0},
                {"17", 17},
                {"16K", 16 << 10},
                {"3M", 3 << 20},
                {"2G", UINT64_C(2) << 30},
                {"5T", UINT64_C(5) << 40},
                {"infinity", UINT64_MAX},
                {"18446744073709551615", UINT64_MAX},
                {"", UINT64_C(64) << 40}, /* the default */
        };
        char text[128];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                snprintf(text, sizeof(text), "[VM]\nRAMBytes=1\n RAMBytes = %s \n", cases[i].text);
                assert_int_equal(load_text(text).limits[QUOTA_RAM_BYTES], cases[i].value);
                assert_string_equal(said, "");
        }
}

static void test_comments(void **state) {
        Quotas quotas = load_text("# VMs=1\n; VMs=1\n\n  # [VM]\n[Service]\n#VMs=2\nVMs=3\r\n");

        assert_int_equal(quotas.limits[QUOTA_VMS], 3);
        assert_string_equal(said, "");
}

/* What is wrong is named with its place, and changes nothing; what is right beside it holds. */
static void test_mistakes(void **state) {
        static const char *const texts[][2] = {
                {"VMs=1\n", "one.conf:1: \"VMs\" is in no section"},
                {"[Service]\n\nNoSuch=1\n", "one.conf:3: unknown key \"NoSuch\" in section [Serv"},
                {"[VM]\nVMs=1\n", "one.conf:2: unknown key \"VMs\" in section [VM]"},
                {"[Nowhere]\n", "one.conf:1: unknown section [Nowhere]"},
                {"[Nowhere]\nVMs=1\n", "one.conf:2: \"VMs\" is in no section"},
                {"[Service\n", "one.conf:1: a heading ends"},
                {"[\n", "one.conf:1: a heading ends"},
                {"[Service]\nVMs\n", "one.conf:2: neither a heading nor KEY=VALUE"},
                {"[Service]\nVMs=-1\n", "one.conf:2: VMs: \"-1\" is no number"},
                {"[Service]\nVMs=1KB\n", "one.conf:2: VMs: \"1KB\" is no number"},
                {"[Service]\nVMs=0x10\n", "one.conf:2: VMs: \"0x10\" is no number"},
                {"[Service]\nVMs=18446744073709551616\n", "VMs: \"18446744073709551616\" is too"},
                {"[Service]\nVMs=16777216T\n", "one.conf:2: VMs: \"16777216T\" is too large"},
                {"[VM]\nJSONDepth=17\n", "one.conf:2: JSONDepth: \"17\" is too large"},
        };
        char text[128];

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                Quotas quotas;

                snprintf(text, sizeof(text), "%s[User]\nVMsPerUser=7\n", texts[i][0]);
                quotas = load_text(text);
                assert_said(texts[i][1]);
                assert_int_equal(quotas.limits[QUOTA_VMS_PER_USER], 7);
                quotas.limits[QUOTA_VMS_PER_USER] = quotas_default.limits[QUOTA_VMS_PER_USER];
                assert_memory_equal(&quotas, &quotas_default, sizeof(quotas));
        }
}

/* Names decide the order of drop-ins; hidden files and other names are none. */
static void test_drop_ins(void **state) {
        Quotas quotas;

        write_file("guestmap/guestmapd.conf", "[Service]\nVMs=1\nSignals=1\n");
        write_file("guestmap/guestmapd.conf.d/20-b.conf", "[Service]\nVMs=3\n");
        write_file("guestmap/guestmapd.conf.d/10-a.conf", "[Service]\nVMs=2\n[VM]\nEdits=5\n");
        write_file("guestmap/guestmapd.conf.d/.30-c.conf", "[Service]\nVMs=4\n");
        write_file("guestmap/guestmapd.conf.d/40-d.conf~", "[Service]\nVMs=5\n");
        setenv("XDG_CONFIG_HOME", directory, 1);
        quotas = load(true, NULL);
        assert_string_equal(said, "");
        assert_int_equal(quotas.limits[QUOTA_VMS], 3);
        assert_int_equal(quotas.limits[QUOTA_SIGNALS], 1);
        assert_int_equal(quotas.limits[QUOTA_EDITS], 5);
        remove_file("guestmap/guestmapd.conf.d/20-b.conf");
        assert_int_equal(load(true, NULL).limits[QUOTA_VMS], 2);
        remove_file("guestmap/guestmapd.conf.d/10-a.conf");
        remove_file("guestmap/guestmapd.conf.d/.30-c.conf");
        remove_file("guestmap/guestmapd.conf.d/40-d.conf~");
        assert_int_equal(load(true, NULL).limits[QUOTA_VMS], 1);
        remove_file("guestmap/guestmapd.conf");
}

/* Root may read anything, but not what leads nowhere. */
static void test_unreadable(void **state) {
        char path[128], link[128];

        snprintf(path, sizeof(path), "%s/loop.conf", directory);
        snprintf(link, sizeof(link), "%s/loop.conf.d", directory);
        assert_int_equal(symlink(path, path), 0);
        assert_int_equal(symlink(link, link), 0);
        (void)load(false, path);
        assert_said("/loop.conf: Too many levels of symbolic links\n");
        assert_said("/loop.conf.d: Too many levels of symbolic links\n");
        remove_file("loop.conf");
        remove_file("loop.conf.d");
}

/* The file that is installed sets nothing, and shows each key with its default. */
static void test_installed(void **state) {
        const char *installed = getenv("GUESTMAPD_CONF");
        _cleanup_(fclosep) FILE *file = NULL;
        char text[4096], all[4096] = "";
        Quotas quotas, none = {};

        assert_non_null(installed);
        quotas = load(false, installed);
        assert_string_equal(said, "");
        assert_memory_equal(&quotas, &quotas_default, sizeof(quotas));
        file = fopen(installed, "re");
        assert_non_null(file);
        while (fgets(text, sizeof(text), file))
                strcat(all, text[0] == '#' && text[1] != ' ' ? text + 1 : text);
        quotas = load_text(all);
        assert_string_equal(said, "");
        assert_memory_equal(&quotas, &quotas_default, sizeof(quotas));
        for (Quota quota = 0; quota < QUOTA_COUNT; quota++) {
                assert_memory_not_equal(&quotas.limits[quota], &none.limits[quota], 8);
                snprintf(text, sizeof(text), "\n%s=", quota_to_string(quota));
                assert_non_null(strstr(all, text));
        }
}

static int set_up(void **state) {
        char path[128];

        if (!mkdtemp(directory))
                return -1;
        snprintf(path, sizeof(path), "%s/guestmap", directory);
        (void)mkdir(path, 0700);
        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf.d", directory);
        return mkdir(path, 0700);
}

static int tear_down(void **state) {
        char path[128];

        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf.d", directory);
        (void)rmdir(path);
        snprintf(path, sizeof(path), "%s/guestmap", directory);
        (void)rmdir(path);
        remove_file("one.conf");
        return rmdir(directory);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing),  cmocka_unit_test(test_values),
                cmocka_unit_test(test_comments), cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_drop_ins), cmocka_unit_test(test_unreadable),
                cmocka_unit_test(test_installed),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
