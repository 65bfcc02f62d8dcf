/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <linux/kvm.h>

#include "tests/common/made-view.h"
#include "tests/unit/mock-kvm.h"
#include "tests/unit/slots-scene.h"

static void make_region(SlotsScene *scene, int i) {
        Backing *backing = &scene->backings[i];
        char name[] = {(char)('a' + i), '\0'};

        urcu_ref_init(&backing->ref); /* the scene's: never released */
        backing->id = (uint64_t)i + 1;
        backing->size = UINT64_C(1) << 40;
        backing->host = (void *)((uintptr_t)(0xa + i) << 28);
        assert_int_equal(region_new(&scene->regions[i], name, REGION_RAM, backing, NULL), 0);
}

int slots_scene_setup(void **state) {
        SlotsScene *scene = calloc(1, sizeof(*scene));

        assert_non_null(scene);
        assert_int_equal(mock_kvm_setup(NULL), 0);
        for (int i = 0; i < SLOTS_SCENE_REGIONS; i++)
                make_region(scene, i);
        scene->view = made_view(NULL, 0, NULL, 0);
        assert_int_equal(accelerator_new_kvm(&scene->kvm, &scene->detail), 0);
        assert_int_equal(slots_new(&scene->slots, scene->kvm, "memory"), 0);
        *state = scene;
        return 0;
}

int slots_scene_teardown(void **state) {
        SlotsScene *scene = *state;

        slots_free(scene->slots);
        accelerator_free(scene->kvm);
        flat_view_unref(scene->view);
        for (int i = 0; i < SLOTS_SCENE_REGIONS; i++)
                region_unref(scene->regions[i]);
        free(scene);
        return mock_kvm_teardown(NULL);
}

Section ram(const SlotsScene *scene, char name, uint64_t first, uint64_t last, uint64_t offset,
            uint8_t flags) {
        return (Section){
                .range = {first, last},
                .region = scene->regions[name - 'a'],
                .offset = offset,
                .kind = REGION_RAM,
                .flags = flags,
        };
}

void slots_change_init(SlotsChange *change, SlotsScene *scene, const char *space,
                       const Section *sections, size_t n) {
        *change = (SlotsChange){};
        change->view = made_view(sections, n, NULL, 0);
        assert_int_equal(diff_views(&change->diff, scene->view, change->view), 0);
        change->space = (SpaceChange){space, scene->view, change->view, &change->diff};
        change->commit = (Commit){
                .generation = 1, .tree_changed = true, .changes = &change->space, .n_changes = 1};
}

void slots_change_deinit(SlotsChange *change) {
        flat_view_unref(change->view);
        diff_deinit(&change->diff);
}

int slots_change_carry_out(SlotsChange *change, SlotsScene *scene) {
        Listener *listener = slots_listener(scene->slots);
        int r;

        r = listener->ops->prepare(listener, &change->commit, &scene->detail);
        return r ? r : listener->ops->apply(listener, &change->commit, &scene->detail);
}

void slots_change_settle(SlotsChange *change, SlotsScene *scene) {
        Listener *listener = slots_listener(scene->slots);

        listener->ops->settle(listener, &change->commit);
}

int commit(SlotsScene *scene, const Section *sections, size_t n) {
        _cleanup_(slots_change_deinit) SlotsChange change;
        int r;

        slots_change_init(&change, scene, "memory", sections, n);
        r = slots_change_carry_out(&change, scene);
        slots_change_settle(&change, scene);
        if (r == 0) {
                flat_view_unref(scene->view);
                scene->view = TAKE_PTR(change.view);
        }
        return r;
}

char *slots_text(const SlotsScene *scene) {
        const Slot *slot;
        uint32_t n = 0;
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        for (slot = slots_first(scene->slots, 0); slot; slot = slots_next(scene->slots, slot), n++)
                fprintf(stream, "%" PRIu32 " %" PRIx64 "-%" PRIx64 " %" PRIx64 "%s%s\n",
                        slot->number, slot->extent.range.first, slot->extent.range.last,
                        slot->extent.host, slot->extent.flags & KVM_MEM_READONLY ? " ro" : "",
                        slot->extent.flags & KVM_MEM_LOG_DIRTY_PAGES ? " log" : "");
        fclose(stream);
        assert_int_equal(n, slots_used(scene->slots));
        return text;
}
