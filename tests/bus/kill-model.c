/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/bus/kill-model.h"

#define MEMORY      MODEL_VM "/space/memory"
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define RAM_SIZE    UINT64_C(0x10000)
#define PLACE       UINT64_C(0x1000000)
#define TARGET      "base" /* of all aliases */
#define SECOND      "second"
#define STEP_USEC   5000
#define PATIENCE    6000 /* steps */
#define REPLY_USEC  60000000
#define EDITS_MAX   4
#define SPACE_EVERY 8 /* commits, about */
#define DOCUMENT    4096

uint64_t model_random(KillModel *model, uint64_t below) {
        model->seed ^= model->seed << 13;
        model->seed ^= model->seed >> 7;
        model->seed ^= model->seed << 17;
        return model->seed % below;
}

static bool complain(const KillModel *model, const char *what, uint64_t is, uint64_t expected) {
        printf("# %s: %#" PRIx64 ", not %#" PRIx64 " (generation %" PRIu64
               ", %u commits sent, %u acknowledged)\n",
               what, is, expected, model->generation, model->n_sent, model->n_acknowledged);
        return false;
}

static uint64_t address_of(unsigned region, bool moved) {
        return PLACE + RAM_SIZE * (region + (moved ? MODEL_REGIONS : 0));
}

static bool is_alias(unsigned region) {
        return region >= MODEL_DEVICES;
}

static bool is_device(unsigned region) {
        return region >= MODEL_RAM && !is_alias(region);
}

static uint64_t bit_of(unsigned region) {
        return UINT64_C(1) << region;
}

/* What a call may end with that was on its way, or whose predecessor was. */
static bool is_excused(const sd_bus_error *error) {
        static const char *const names[] = {
                "org.guestmap1.Error.VMGone",
                "org.guestmap1.Error.Conflict",
                "org.freedesktop.DBus.Error.NoReply",
                "org.freedesktop.DBus.Error.ServiceUnknown",
                "org.freedesktop.DBus.Error.NameHasNoOwner",
        };

        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                if (sd_bus_error_has_name(error, names[i]))
                        return true;
        printf("# %s: %s\n", error->name, error->message);
        return false;
}

/* For questions: asked until somebody is there to answer. The caller frees the reply. */
static sd_bus_message *question(sd_bus *bus, const char *path, const char *interface,
                                const char *member, const char *types, ...) {
        for (unsigned tries = 0; tries < PATIENCE; tries++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *reply = NULL;
                va_list arguments;
                int r;

                va_start(arguments, types);
                r = sd_bus_call_methodv(bus, GUESTMAP_SERVICE, path, interface, member, &error,
                                        &reply, types, arguments);
                va_end(arguments);
                if (r >= 0)
                        return reply;
                if (!is_excused(&error))
                        return NULL;
                usleep(STEP_USEC);
        }
        printf("# %s is never answered\n", member);
        return NULL;
}

bool model_open(KillModel *model, sd_bus *bus, uint64_t seed, const char *accelerator) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *created = NULL, *added = NULL;

        *model = (KillModel){.seed = seed, .generation = 2};
        created = question(bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                           "kill", 1, "accelerator", "s", accelerator);
        if (!created)
                return false;
        added = question(bus, MODEL_VM, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", TARGET,
                         "ram", RAM_SIZE, "", UINT64_C(0), 0, 0);
        return added;
}

static void write_add(FILE *out, unsigned region) {
        if (is_alias(region))
                fprintf(out, "{\"add-alias\": {\"target\": \"" TARGET "\", ");
        else
                fprintf(out, "{\"add-region\": {\"kind\": \"%s\", ",
                        is_device(region) ? "mmio" : "ram");
        fprintf(out,
                "\"name\": \"r%u\", \"size\": %" PRIu64
                ", \"parent\": \"system\", \"offset\": %" PRIu64 "}}",
                region, RAM_SIZE, address_of(region, false));
}

static void write_remove(FILE *out, ModelState *state, unsigned region) {
        uint64_t others = ~bit_of(region);

        fprintf(out, "{\"remove-region\": {\"name\": \"r%u\"}}", region);
        state->disabled &= others;
        state->moved &= others;
        state->raised &= others;
        state->kicked &= others;
}

/* A region that is there changes, and is what it was the next time. */
static void write_change(KillModel *model, FILE *out, ModelState *state, unsigned region) {
        uint64_t bit = bit_of(region), kind = model_random(model, is_device(region) ? 4 : 3);

        if (kind == 0 && region >= MODEL_RAM) {
                state->disabled ^= bit;
                fprintf(out, "{\"enable-region\": {\"name\": \"r%u\", \"enabled\": %s}}", region,
                        state->disabled & bit ? "false" : "true");
        } else if (kind <= 1) {
                state->raised ^= bit;
                fprintf(out, "{\"set-region\": {\"name\": \"r%u\", \"priority\": %d}}", region,
                        state->raised & bit ? 1 : 0);
        } else if (kind == 2) {
                state->moved ^= bit;
                fprintf(out,
                        "{\"move-region\": {\"name\": \"r%u\", \"parent\": \"system\", "
                        "\"offset\": %" PRIu64 ", \"priority\": %d}}",
                        region, address_of(region, state->moved & bit),
                        state->raised & bit ? 1 : 0);
        } else {
                state->kicked ^= bit;
                fprintf(out,
                        "{\"%s-ioeventfd\": {\"region\": \"r%u\", \"offset\": 0, "
                        "\"length\": 4}}",
                        state->kicked & bit ? "add" : "remove", region);
        }
}

static void write_edit(KillModel *model, FILE *out, ModelState *state, unsigned region) {
        uint64_t bit = bit_of(region);

        if (state->present & bit && model_random(model, 2)) {
                write_change(model, out, state, region);
                return;
        }
        if (state->present & bit)
                write_remove(out, state, region);
        else
                write_add(out, region);
        state->present ^= bit;
}

static void write_space(FILE *out, ModelState *state) {
        state->spaces ^= 1;
        if (state->spaces)
                fputs(", {\"add-address-space\": {\"name\": \"" SECOND "\", \"root\": \"system\"}}",
                      out);
        else
                fputs(", {\"remove-address-space\": {\"name\": \"" SECOND "\"}}", out);
}

/* Different regions: each edit counts. */
static void write_commit(KillModel *model, char *text, ModelState *state) {
        FILE *out = fmemopen(text, DOCUMENT, "w");
        uint64_t touched = 0;

        fputs("{\"guestmap\": 1, \"edits\": [", out);
        for (uint64_t n = 1 + model_random(model, EDITS_MAX); n > 0; n--) {
                unsigned region = (unsigned)model_random(model, MODEL_REGIONS);

                if (touched & bit_of(region))
                        continue;
                fputs(touched ? ", " : "", out);
                write_edit(model, out, state, region);
                touched |= bit_of(region);
        }
        if (model_random(model, SPACE_EVERY) == 0)
                write_space(out, state);
        fputs("]}", out);
        fclose(out);
}

static bool is_done(KillModel *model, sd_bus_message *reply) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        model->n_unanswered--;
        if (error && !is_excused(error))
                model->failed = true;
        return !error;
}

static int on_committed(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        KillModel *model = userdata;
        uint64_t generation;

        if (is_done(model, reply) && sd_bus_message_read(reply, "t", &generation) > 0)
                model->n_acknowledged = (unsigned)(generation - model->generation);
        return 1;
}

static int on_written(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        KillModel *model = userdata;

        model->written = is_done(model, reply);
        return 1;
}

static bool send_commit(KillModel *model, sd_bus *bus) {
        unsigned n = model->n_sent;
        char text[DOCUMENT];

        model->states[n + 1] = model->states[n];
        write_commit(model, text, &model->states[n + 1]);
        if (sd_bus_call_method_async(bus, NULL, GUESTMAP_SERVICE, MODEL_VM, GUESTMAP_INTERFACE_MAP,
                                     "Apply", on_committed, model, "sa{sv}", text, 1,
                                     "expect-generation", "t", model->generation + n) < 0)
                return false;
        model->n_sent++;
        model->n_unanswered++;
        return true;
}

/* Whether no commit of the burst takes it away, or moves it. */
static bool stays(const KillModel *model, unsigned region) {
        for (unsigned i = 0; i <= model->n_sent; i++)
                if (!(model->states[i].present & bit_of(region)) ||
                    (model->states[i].moved ^ model->states[0].moved) & bit_of(region))
                        return false;
        return true;
}

static bool send_word(KillModel *model, sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        unsigned target = (unsigned)model_random(model, MODEL_RAM);

        model->writing = model->written = false;
        if (!stays(model, target))
                return true;
        model->target = target;
        model->word = model_random(model, UINT64_MAX);
        if (sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, MEMORY,
                                           GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write") < 0 ||
            sd_bus_message_append(
                    m, "t", address_of(target, model->states[0].moved & bit_of(target))) < 0 ||
            sd_bus_message_append_array(m, 'y', &model->word, sizeof(model->word)) < 0 ||
            sd_bus_call_async(bus, NULL, m, on_written, model, UINT64_MAX) < 0)
                return false;
        model->writing = true;
        model->n_unanswered++;
        return true;
}

bool model_send(KillModel *model, sd_bus *bus) {
        model->n_sent = model->n_acknowledged = 0;
        for (uint64_t n = 1 + model_random(model, MODEL_BURST); n > 0; n--)
                if (!send_commit(model, bus))
                        return false;
        return send_word(model, bus) && sd_bus_flush(bus) >= 0;
}

bool model_await(KillModel *model, sd_bus *bus) {
        while (model->n_unanswered > 0) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0 || (r == 0 && sd_bus_wait(bus, REPLY_USEC) <= 0)) {
                        printf("# %u calls are never answered\n", model->n_unanswered);
                        return false;
                }
        }
        return !model->failed;
}

static bool check_generation(KillModel *model, sd_bus *bus, unsigned *ret_n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t generation;

        reply = question(bus, MODEL_VM, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM,
                         "Generation");
        if (!reply || sd_bus_message_read(reply, "v", "t", &generation) <= 0)
                return false;
        if (generation < model->generation + model->n_acknowledged ||
            generation > model->generation + model->n_sent)
                return complain(model, "generation", generation,
                                model->generation + model->n_acknowledged);
        *ret_n = (unsigned)(generation - model->generation);
        return true;
}

/* Regions that are always there are none of them. */
static bool read_tree(sd_bus *bus, ModelState *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        unsigned region;
        uint64_t offset;
        int priority, enabled;

        reply = question(bus, MODEL_VM, GUESTMAP_INTERFACE_VM, "ListRegions", "su", "",
                         UINT32_C(1000));
        if (!reply || sd_bus_message_skip(reply, "t") < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(ssttsib)") < 0)
                return false;
        while (sd_bus_message_read(reply, "(ssttsib)", &name, NULL, NULL, &offset, NULL, &priority,
                                   &enabled) > 0) {
                if (sscanf(name, "r%u", &region) != 1)
                        continue;
                ret->present |= bit_of(region);
                ret->disabled |= enabled ? 0 : bit_of(region);
                ret->raised |= priority == 1 ? bit_of(region) : 0;
                ret->moved |= offset == address_of(region, true) ? bit_of(region) : 0;
        }
        return true;
}

static bool read_kicked(sd_bus *bus, ModelState *state) {
        char name[16];

        for (unsigned i = MODEL_RAM; i < MODEL_DEVICES; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

                if (!(state->present & bit_of(i)))
                        continue;
                snprintf(name, sizeof(name), "r%u", i);
                reply = question(bus, MODEL_VM, GUESTMAP_INTERFACE_VM, "ListIOEventFDs", "s", name);
                if (!reply || sd_bus_message_enter_container(reply, 'a', "(tubt)") < 0)
                        return false;
                state->kicked |= sd_bus_message_at_end(reply, false) ? 0 : bit_of(i);
        }
        return true;
}

static bool read_spaces(sd_bus *bus, ModelState *state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;

        reply = question(bus, MODEL_VM, GUESTMAP_INTERFACE_VM, "ListAddressSpaces", NULL);
        if (!reply || sd_bus_message_skip(reply, "t") < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(sst)") < 0)
                return false;
        while (sd_bus_message_read(reply, "(sst)", &name, NULL, NULL) > 0)
                state->spaces |= strcmp(name, SECOND) == 0;
        return true;
}

/* What is seen, and where. */
static bool read_view(sd_bus *bus, const char *space, ModelState *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char expected[16];
        unsigned place, region;
        uint64_t first;
        const char *name;

        reply = question(bus, space, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL);
        if (!reply || sd_bus_message_skip(reply, "t") < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(ttstsu)") < 0)
                return false;
        while (sd_bus_message_read(reply, "(ttstsu)", &first, NULL, &name, NULL, NULL, NULL) > 0) {
                place = (unsigned)((first - PLACE) / RAM_SIZE);
                region = place % MODEL_REGIONS;
                snprintf(expected, sizeof(expected), is_alias(region) ? TARGET : "r%u", region);
                if (strcmp(name, expected) != 0)
                        continue;
                ret->present |= bit_of(region);
                ret->moved |= place == region ? 0 : bit_of(region);
        }
        return true;
}

static bool check_view(KillModel *model, sd_bus *bus, const char *space, const ModelState *tree) {
        uint64_t visible = tree->present & ~tree->disabled;
        ModelState view = {};

        if (!read_view(bus, space, &view))
                return false;
        if (view.present != visible)
                return complain(model, "sections", view.present, visible);
        return view.moved == (tree->moved & visible) ||
               complain(model, "sections moved", view.moved, tree->moved & visible);
}

static bool check_map(KillModel *model, sd_bus *bus, unsigned n) {
        const ModelState *expected = &model->states[n];
        ModelState tree = {};
        const struct {
                const char *what;
                const uint64_t *is, *expected;
        } checks[] = {
                {"regions", &tree.present, &expected->present},
                {"disabled", &tree.disabled, &expected->disabled},
                {"moved", &tree.moved, &expected->moved},
                {"raised", &tree.raised, &expected->raised},
                {"ioeventfds", &tree.kicked, &expected->kicked},
                {"address spaces", &tree.spaces, &expected->spaces},
        };

        if (!read_tree(bus, &tree) || !read_kicked(bus, &tree) || !read_spaces(bus, &tree))
                return false;
        for (size_t i = 0; i < ELEMENTS_OF(checks); i++)
                if (*checks[i].is != *checks[i].expected)
                        return complain(model, checks[i].what, *checks[i].is, *checks[i].expected);
        return check_view(model, bus, MEMORY, &tree) &&
               (!tree.spaces || check_view(model, bus, MODEL_VM "/space/" SECOND, &tree));
}

static bool read_word(sd_bus *bus, uint64_t address, uint64_t *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const void *bytes;
        size_t n;

        reply = question(bus, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read", "tt", address,
                         UINT64_C(8));
        if (!reply || sd_bus_message_read_array(reply, 'y', &bytes, &n) <= 0 || n != sizeof(*ret))
                return false;
        memcpy(ret, bytes, n);
        return true;
}

/* RAM that was taken away and added again in the burst is new. */
static bool was_renewed(const KillModel *model, unsigned region, unsigned n) {
        for (unsigned i = 0; i <= n; i++)
                if (!(model->states[i].present & bit_of(region)))
                        return true;
        return false;
}

static bool check_word(KillModel *model, sd_bus *bus, unsigned region, unsigned n, bool lost) {
        uint64_t is, expected = was_renewed(model, region, n) ? 0 : model->words[region];
        bool target = model->writing && model->target == region;

        if (!read_word(bus, address_of(region, model->states[n].moved & bit_of(region)), &is))
                return false;
        if (is != expected && !(target && is == model->word) && !(lost && is == 0))
                return complain(model, "word", is, expected);
        if (target && model->written && is != model->word && !lost)
                return complain(model, "word that was written", is, model->word);
        model->words[region] = is;
        return true;
}

static bool check_words(KillModel *model, sd_bus *bus, unsigned n, bool lost) {
        for (unsigned i = 0; i < MODEL_RAM; i++)
                if (model->states[n].present & bit_of(i) && !check_word(model, bus, i, n, lost))
                        return false;
        return true;
}

bool model_check(KillModel *model, sd_bus *bus, bool lost) {
        unsigned n;

        if (!check_generation(model, bus, &n) || !check_map(model, bus, n) ||
            !check_words(model, bus, n, lost))
                return false;
        model->generation += n;
        model->states[0] = model->states[n];
        return true;
}
