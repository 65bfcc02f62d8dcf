/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest that reads and writes all over a random map while it is edited
 *
 *   test-random-guest [SEED | --long]
 *
 * Each seed is a map's life of so many steps. In a step the guest makes two runs of random reads
 * and writes: of 1 to 8 bytes, aligned or not, across whatever borders there are. Beside the first
 * run random edits are committed, and each byte must be what the model has for the map of before or
 * of after; whoever was done before the commit must have seen the former, and who began when it had
 * returned the latter. Beside the second run nothing happens, and it must be as the model has it.
 *
 * Units are of one byte, where there are no slots and borders everywhere; of a page, where all
 * memory has slots that come, go, move and are cut under the guest; or of half a page. A failure
 * prints seed, step, access and map. The same seed makes the same edits and accesses; which of them
 * meet is up to the machine.
 */

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/memory/commit.h"
#include "lib/memory/dispatch.h"
#include "tests/common/unit.h"
#include "tests/kvm/byte-model.h"
#include "tests/kvm/processor.h"
#include "tests/property/generator.h"

typedef struct Command Command;
typedef struct Life Life;

enum {
        ROUTINES = AT + 32, /* of four bytes: reads of 1, 2, 4 and 8 bytes, then writes */
        STACK = 0x8000,
        N_DONE = 0x9000, /* how many accesses the guest has made, 32 bits */
        COMMANDS = 0x10000,
        N_COMMANDS = 512,
        N_REGIONS = 32, /* as many stay */
};

#define WORLD UINT64_C(0x40000000)

static const uint8_t program[] = {
        0x48, 0x8b, 0x1e,                         /* next: mov rbx, [rsi] */
        0x48, 0x8b, 0x46, 0x08,                   /* mov rax, [rsi+8] */
        0xff, 0x56, 0x10,                         /* call [rsi+16] */
        0x48, 0x89, 0x46, 0x08,                   /* mov [rsi+8], rax */
        0x48, 0x83, 0xc6, 0x18,                   /* add rsi, 24 */
        0xff, 0x04, 0x25, 0x00, 0x90, 0x00, 0x00, /* inc dword [N_DONE] */
        0xff, 0xc9,                               /* dec ecx */
        0x75, 0xe3,                               /* jnz next */
        0xf4, 0x90, 0x90,                         /* hlt; nop; nop */
        0x8a, 0x03, 0xc3, 0x90,                   /* mov al, [rbx]; ret; nop */
        0x66, 0x8b, 0x03, 0xc3,                   /* mov ax, [rbx]; ret */
        0x8b, 0x03, 0xc3, 0x90,                   /* mov eax, [rbx]; ret; nop */
        0x48, 0x8b, 0x03, 0xc3,                   /* mov rax, [rbx]; ret */
        0x88, 0x03, 0xc3, 0x90,                   /* mov [rbx], al; ret; nop */
        0x66, 0x89, 0x03, 0xc3,                   /* mov [rbx], ax; ret */
        0x89, 0x03, 0xc3, 0x90,                   /* mov [rbx], eax; ret; nop */
        0x48, 0x89, 0x03, 0xc3,                   /* mov [rbx], rax; ret */
};

/* One access, as the guest finds it. */
struct Command {
        uint64_t address;
        uint64_t value; /* to be written; what was read, in its lowest bytes */
        uint64_t routine;
};

struct Life {
        uint64_t seed;
        uint64_t step;
        Processor *processor;
        Dispatcher dispatcher;
        Generator generator;
        ByteModel model;
        Command commands[N_COMMANDS]; /* as they were given */
        uint64_t n_accesses;
        uint64_t n_trapped;
        uint64_t n_commits;
        uint64_t n_beside;
};

static void give_up(const Life *life, const char *what) {
        char *text = scene_text(life->processor->map);

        fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ": %s\n%s", life->seed, life->step, what,
                text);
        free(text);
        exit(EXIT_FAILURE);
}

static void expect(const Life *life, bool holds, const char *what) {
        if (!holds)
                give_up(life, what);
}

static uint64_t below(Life *life, uint64_t n) {
        return random_below(&life->generator.random, n);
}

static bool one_in(Life *life, uint64_t n) {
        return random_one_in(&life->generator.random, n);
}

/* Edits */

/* The guest's own memory is no part of the world. */
static bool is_of_world(const char *name) {
        return !name || strlen(name) <= 1 || strcmp(name, "root") == 0;
}

/*
 * Not the address space that the vCPU is in. Doorbells would be rung in place of registers. Of
 * regions there are to be many.
 */
static bool is_wanted(const Map *map, const Edit *edit) {
        switch (edit->verb) {
        case EDIT_REMOVE_REGION:
                return map->n_regions > N_REGIONS && is_of_world(edit->name);
        case EDIT_ADD_ADDRESS_SPACE:
        case EDIT_REMOVE_ADDRESS_SPACE:
        case EDIT_ADD_IOEVENTFD:
        case EDIT_ADD_COALESCED:
                return false;
        default:
                return is_of_world(edit->name) && is_of_world(edit->parent) &&
                       is_of_world(edit->target);
        }
}

static Handler *new_handler(Life *life) {
        uint64_t value = random_next(&life->generator.random);
        Handler *handler;

        if ((one_in(life, 4) ? handler_new_constant : handler_new_latch)(&handler, value) != 0)
                abort();
        byte_model_add_handler(&life->model, handler);
        return handler;
}

/* Memory that the model knows, registers that keep what is written to them. */
static void complete(Life *life, Edit *edit) {
        if (edit->verb == EDIT_SET_HANDLER) {
                handler_unref(edit->handler);
                edit->handler = new_handler(life);
        }
        if (edit->verb == EDIT_ADD_REGION && region_kind_has_backing(edit->kind) && !edit->backing)
                edit->backing = backing_ref(life->generator.backings[0]);
}

static void make_edits(Life *life, uint64_t n) {
        Map *map = life->processor->map;

        while (n-- > 0) {
                Edit edit = generator_next(&life->generator);
                bool made;

                complete(life, &edit);
                made = is_wanted(map, &edit) && map_edit(map, &edit, NULL) == 0;
                if (made && edit.verb == EDIT_ADD_REGION && region_kind_has_registers(edit.kind)) {
                        _cleanup_(handler_unrefp) Handler *handler = new_handler(life);

                        must_edit(map, set_handler(edit.name, handler));
                }
                edit_deinit(&edit);
        }
}

/* A few edits that the model can follow. */
static void prepare_edits(Life *life, uint64_t n) {
        Map *map = life->processor->map;

        make_edits(life, n);
        while (!byte_model_look(&life->model, map, must_find(map, "root"))) {
                map_rollback(map, 0);
                make_edits(life, 1);
        }
}

/* Accesses */

/* Half of them around the border of two units. */
static uint64_t some_address(Life *life) {
        const Generator *world = &life->generator;
        uint64_t n = one_in(life, 2) ? world->n_units : world->n_units / 6;
        uint64_t at = WORLD + below(life, n + 1) * world->unit;

        return at + (one_in(life, 2) ? below(life, world->unit) : below(life, 16) - 8);
}

static bool is_memory(const Life *life, uint64_t address) {
        const FlatView *view = scene_published(life->processor->map, "memory");
        const Section *section = flat_view_find(view, address);

        return section && section_is_memory(section);
}

/* Memory, about every other time. */
static Command some_command(Life *life) {
        uint64_t address = some_address(life);

        for (uint64_t n = below(life, 8); n > 0 && !is_memory(life, address); n--)
                address = some_address(life);
        return (Command){address, random_next(&life->generator.random),
                         ROUTINES + 4 * below(life, 8)};
}

static bool is_write(const Command *command) {
        return (command->routine - ROUTINES) / 4 >= 4;
}

static unsigned length_of(const Command *command) {
        return 1U << (command->routine - ROUTINES) / 4 % 4;
}

static uint32_t n_done(const Life *life) {
        return __atomic_load_n((uint32_t *)(life->processor->ram + N_DONE), __ATOMIC_SEQ_CST);
}

static void start(Life *life) {
        Processor *processor = life->processor;

        for (size_t i = 0; i < N_COMMANDS; i++)
                life->commands[i] = some_command(life);
        memcpy(processor->ram + COMMANDS, life->commands, sizeof(life->commands));
        memset(processor->ram + N_DONE, 0, sizeof(uint32_t));
        processor_load(processor, VCPU_MODE_LONG, AT, program, sizeof(program));
        processor_set(processor, "rsi", COMMANDS);
        processor_set(processor, "rcx", N_COMMANDS);
        processor_set(processor, "rsp", STACK);
        expect(life, vcpu_start(processor->vcpu, 0, NULL) == 0, "the guest does not start");
}

/* Until the guest is under way, or through. */
static void await_progress(const Life *life, uint32_t n) {
        struct pollfd ended = {.fd = life->processor->ended_fd, .events = POLLIN};

        while (n_done(life) < n && poll(&ended, 1, 0) == 0)
                sched_yield();
}

static void await_end(Life *life) {
        VCPUEnd end = processor_await(life->processor);

        expect(life, end.state == VCPU_HALTED, end.reason.text);
        expect(life, n_done(life) == N_COMMANDS, "the guest has left accesses out");
        life->n_trapped += processor_exits(life->processor, "mmio");
}

static void wrong_byte(const Life *life, unsigned i, unsigned byte, uint64_t read, Moment moment) {
        static const char *const words[] = {"before", "beside", "after"};
        const Command *command = &life->commands[i];
        char what[128];

        snprintf(what, sizeof(what),
                 "access %u, %s: %u bytes at 0x%" PRIx64 " were read as 0x%" PRIx64
                 ": byte %u is wrong",
                 i, words[moment], length_of(command), command->address, read, byte);
        give_up(life, what);
}

/* Has the model follow an access; what was read must be what it has. */
static void follow(Life *life, unsigned i, uint64_t read, Moment moment) {
        const Command *command = &life->commands[i];

        for (unsigned b = 0; b < length_of(command); b++)
                if (is_write(command))
                        byte_model_write(&life->model, moment, command->address + b,
                                         (uint8_t)(command->value >> 8 * b));
                else if (!byte_model_may_read(&life->model, moment, command->address + b,
                                              (uint8_t)(read >> 8 * b)))
                        wrong_byte(life, i, b, read, moment);
}

/* Those of number `first` to `last` were made beside a commit. */
static void follow_all(Life *life, int64_t first, int64_t last) {
        const Command *results = (const Command *)(life->processor->ram + COMMANDS);
        Detail detail;

        for (int64_t i = 0; i < N_COMMANDS; i++)
                follow(life, (unsigned)i, results[i].value,
                       i < first  ? MOMENT_BEFORE
                       : i > last ? MOMENT_AFTER
                                  : MOMENT_BESIDE);
        if (!byte_model_settle(&life->model, &detail))
                give_up(life, detail.text);
        life->n_accesses += N_COMMANDS;
        life->n_beside += (uint64_t)(MIN_OF(last, N_COMMANDS - 1) - first + 1);
}

/* The number n, when n are done, may be on its way: it is beside what begins or ends then. */
static void run_beside_commit(Life *life) {
        int64_t first, last;

        prepare_edits(life, 1 + below(life, 4));
        start(life);
        await_progress(life, (uint32_t)below(life, N_COMMANDS / 2));
        first = n_done(life);
        must_commit(life->processor->map);
        last = n_done(life);
        await_end(life);
        life->n_commits++;
        follow_all(life, first, last);
}

static void run_alone(Life *life) {
        start(life);
        await_end(life);
        follow_all(life, 0, -1);
}

/* The life */

static int on_trap(void *userdata, const Trap *trap, Detail *reason) {
        Life *life = userdata;

        if (trap->is_port)
                return detail_set(reason, 1, "a port");
        if (trap->is_write)
                return dispatch_write(&life->dispatcher, trap->address, trap->data, trap->length,
                                      reason);
        return dispatch_read(&life->dispatcher, trap->address, trap->data, trap->length, reason);
}

static void on_ended(void *userdata) {
        const Life *life = userdata;

        (void)eventfd_write(life->processor->ended_fd, 1);
}

static void fill_memory(Life *life) {
        for (int i = 0; i < WORLD_BACKINGS; i++) {
                Backing *backing = life->generator.backings[i];
                uint8_t *bytes = backing->host;

                for (uint64_t at = 0; at < backing->size; at++)
                        bytes[at] = (uint8_t)random_next(&life->generator.random);
                byte_model_add_memory(&life->model, backing);
        }
}

/* The processor's own vCPU makes place for one that asks the map. */
static void take_vcpu(Life *life) {
        static const VCPUOps ops = {on_trap, on_ended};
        Processor *processor = life->processor;

        dispatcher_init(&life->dispatcher, processor->map, "memory");
        vcpu_free(processor->vcpu);
        expect(life,
               vcpu_new(&processor->vcpu, processor->kvm, &processor->gate, 1, &ops, life) == 0 &&
                       vcpu_make(processor->vcpu, NULL) == 0,
               "there is no vCPU");
}

static void begin_life(Life *life, uint64_t seed) {
        Generator *world = &life->generator;

        *life = (Life){.seed = seed};
        (void)processor_setup((void **)&life->processor);
        take_vcpu(life);
        if (generator_init(world, seed, life->processor->map, false) != 0)
                abort();
        if (world->unit > 1 && one_in(life, 2))
                world->unit = 0x1000;
        byte_model_init(&life->model, WORLD, world->unit, world->n_units);
        fill_memory(life);
        must_edit_commit(life->processor->map,
                         add_region(REGION_CONTAINER, "root", world->n_units * world->unit,
                                    "system", WORLD, 0));
        prepare_edits(life, 100);
        must_commit(life->processor->map);
}

static void end_life(Life *life) {
        byte_model_deinit(&life->model);
        generator_deinit(&life->generator);
        (void)processor_teardown((void **)&life->processor);
}

static void live(uint64_t seed, uint64_t n_steps, uint64_t number) {
        Life life;

        begin_life(&life, seed);
        for (life.step = 0; life.step < n_steps; life.step++) {
                run_beside_commit(&life);
                run_alone(&life);
        }
        printf("ok %" PRIu64 " - seed %" PRIu64 ", units of 0x%" PRIx64 ": %" PRIu64
               " accesses, %" PRIu64 " trapped, %" PRIu64 " commits, %" PRIu64 " beside them\n",
               number, seed, life.generator.unit, life.n_accesses, life.n_trapped, life.n_commits,
               life.n_beside);
        fflush(stdout);
        end_life(&life);
}

int main(int argc, char **argv) {
        bool for_long = argc > 1 && strcmp(argv[1], "--long") == 0;
        bool one = argc > 1 && !for_long;
        uint64_t first = one ? strtoull(argv[1], NULL, 0) : 1, n = for_long ? 60 : one ? 1 : 8;

        processor_need_kvm();
        rcu_register();
        for (uint64_t i = 0; i < n; i++)
                live(first + i, for_long ? 300 : 25, i + 1);
        rcu_unregister();
        printf("1..%" PRIu64 "\n", n);
        return EXIT_SUCCESS;
}
