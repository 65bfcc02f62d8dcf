/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the objects of a VM introspect as, against api/: for each interface one file
 *
 * Compared are members, arguments with their names, types and directions, accesses and annotations,
 * as text: an XML file is cut down to its tags, one a line.
 */

#include <stdio.h>
#include <string.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

/* Whether a tag says nothing about the contract. */
static bool is_noise(const char *tag) {
        return strncmp(tag, "<!", 2) == 0 || strncmp(tag, "<?", 2) == 0 ||
               strncmp(tag, "<node", 5) == 0 || tag[1] == '/';
}

/* The end of a tag or comment that begins at `tag`. */
static const char *tag_end(const char *tag) {
        const char *end = strncmp(tag, "<!--", 4) == 0 ? strstr(tag, "-->") : tag;

        assert_non_null(end);
        end = strchr(end, '>');
        assert_non_null(end);
        return end + 1;
}

static int compare_words(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A tag with its attributes in the order of the alphabet. None of ours has blanks in a value. */
static void write_tag(FILE *out, const char *tag, size_t n) {
        char *text = strndup(tag, n), *words[8], *rest = text;
        size_t n_words = 0;

        assert_non_null(text);
        while ((words[n_words] = strtok_r(rest, " \n\t</>", &rest)))
                assert_true(++n_words < 8);
        qsort(words + 1, n_words - 1, sizeof(*words), compare_words);
        for (size_t i = 0; i < n_words; i++)
                fprintf(out, "%s%s", i ? " " : "", words[i]);
        fputc('\n', out);
        free(text);
}

/* The tags of one interface, a line each. */
static char *interface_tags(const char *xml, const char *interface) {
        char *text = NULL, opening[128];
        bool inside = false;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        snprintf(opening, sizeof(opening), "<interface name=\"%s\">", interface);
        for (const char *tag = strchr(xml, '<'); tag; tag = strchr(tag, '<')) {
                const char *end = tag_end(tag);

                if (strncmp(tag, opening, strlen(opening)) == 0)
                        inside = true;
                if (inside && !is_noise(tag))
                        write_tag(out, tag, (size_t)(end - tag));
                if (strncmp(tag, "</interface>", 12) == 0)
                        inside = false;
                tag = end;
        }
        fclose(out);
        return text;
}

static char *read_file(const char *path) {
        char *text = NULL;
        size_t size = 0;
        FILE *file = fopen(path, "r");

        if (!file)
                fail_msg("cannot open %s", path);
        assert_true(getdelim(&text, &size, '\0', file) > 0);
        fclose(file);
        return text;
}

/* Says the first line that differs: a whole interface is too long for a message. */
static void assert_same_lines(const char *interface, char *found, char *expected) {
        char *rest_found = found, *rest_expected = expected;
        const char *a, *b;

        do {
                a = strtok_r(rest_found, "\n", &rest_found);
                b = strtok_r(rest_expected, "\n", &rest_expected);
                if ((a || b) && strcmp(a ?: "nothing", b ?: "nothing") != 0)
                        fail_msg("%s: the process says <%s>, the file <%s>", interface,
                                 a ?: "nothing", b ?: "nothing");
        } while (a && b);
}

static void check(Rig *rig, const char *path, const char *interface) {
        char *file, *xml, *expected, *found;

        assert_true(asprintf(&file, "%s/%s.xml", getenv("GUESTMAP_API"), interface) > 0);
        xml = read_file(file);
        expected = interface_tags(xml, interface);
        found = interface_tags(rig_call(rig, path, "Introspectable.Introspect", ""), interface);
        assert_true(strlen(expected) > 0);
        assert_same_lines(interface, found, expected);
        free(found);
        free(expected);
        free(xml);
        free(file);
}

/* Only KVM has any. */
static void test_vcpu(void **state) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test",
                 "0123456789abcdef0123456789abcdef", UINT32_C(1000), 0);
        assert_string_equal(rig->text, "");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), 0);
        check(rig, RIG_VM "/vcpu/0", "org.guestmap1.VCPU");
        rig_free(rig);
}

static void test_interfaces(void **state) {
        Rig *rig = rig_new_vm();

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        check(rig, RIG_VM, "org.guestmap1.VM");
        check(rig, RIG_VM, "org.guestmap1.Map");
        check(rig, RIG_VM "/transaction/1", "org.guestmap1.Transaction");
        check(rig, RIG_VM "/transaction/1", "org.guestmap1.Map");
        check(rig, RIG_MEMORY, "org.guestmap1.AddressSpace");
        check(rig, RIG_VM "/region/system", "org.guestmap1.Region");
        rig_free(rig);
}

/* With an argument the vCPU's. */
int main(int argc, char **argv) {
        const struct CMUnitTest interfaces[] = {cmocka_unit_test(test_interfaces)};
        const struct CMUnitTest vcpu[] = {cmocka_unit_test(test_vcpu)};
        int r = kvm_probe();

        if (argc == 1)
                return cmocka_run_group_tests(interfaces, NULL, NULL);
        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(vcpu, NULL, NULL);
}
