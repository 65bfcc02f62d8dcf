/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * vCPU: the thread, and what it is told
 *
 * I1: the thread alone calls KVM_RUN, and only while `runs`, which the owner sets and the thread
 *     clears when it reports the end.
 * I2: `state` is the owner's: VCPU_RUNNING from a start until he has taken the end.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/kvm/host.h"
#include "lib/kvm/vcpu.h"
#include "lib/memory/map-error.h"
#include "lib/util/counter.h"
#include "lib/util/rcu.h"

/* How long the end of a run may take, for what its guest has written before. */
enum { END_USEC = 100 * 1000 };

/* Why KVM_RUN is interrupted for good. */
typedef enum Cause {
        BY_OWNER,
        BY_STEPS, /* these were all */
        BY_TRAP,  /* that was not served, or a write of before; `coming` has it */
} Cause;

struct VCPU {
        uint32_t index;
        int fd;
        int stop_fd; /* an eventfd: the thread's patience is over */
        struct kvm_run *run;
        size_t run_size;
        VCPUImage *first; /* of when it was new */
        const Accelerator *kvm;
        RunGate *gate;
        const VCPUOps *ops;
        void *userdata;
        uint64_t exits[N_VCPU_EXITS];  /* counters; added to by the thread */
        uint64_t before[N_VCPU_EXITS]; /* those when it was reset last */

        pthread_t thread;
        bool has_thread;
        VCPUState state;
        bool is_stepping;
        VCPUEnd end; /* of the last run that was taken */

        pthread_mutex_t lock; /* of the following three, and of `coming` once it is reported */
        pthread_cond_t commanded;
        bool runs;
        bool quits;
        bool has_end;

        /* Of the run that is on, the thread's own but before it begins. */
        GateRunner runner;
        uint32_t steps_left; /* 0: without end */
        Cause cause;
        Patience patience;
        VCPUEnd coming;
};

static void count_exit(VCPU *vcpu, unsigned kind) {
        counter_add(&vcpu->exits[kind], 1);
}

static void end_here(VCPU *vcpu, VCPUState state, int error, const char *reason) {
        vcpu->coming.state = state;
        vcpu->coming.address = host_next_instruction(vcpu->fd);
        detail_set(&vcpu->coming.reason, 0, "%s", reason);
        if (state == VCPU_FAILED && vcpu->ops->explain)
                vcpu->ops->explain(vcpu->userdata, error, &vcpu->coming.reason);
}

/* As soon as the instruction at hand is complete. */
static void end_soon(VCPU *vcpu, Cause cause) {
        vcpu->cause = cause;
        run_gate_interrupt(vcpu->gate, &vcpu->runner);
}

/* What failed first ends the run. */
static void end_by(VCPU *vcpu, uint64_t address, const Detail *reason) {
        if (vcpu->cause != BY_TRAP)
                vcpu->coming = (VCPUEnd){VCPU_STOPPED, address, *reason};
        end_soon(vcpu, BY_TRAP);
}

/* All that was written before, even if some of it fails. 0, or -ECANCELED. */
static int catch_up(VCPU *vcpu, Detail *reason) {
        uint64_t address;
        int r;

        if (!vcpu->ops->catch_up)
                return 0;
        while ((r = vcpu->ops->catch_up(vcpu->userdata, &address, reason)) != 0) {
                if (r == -ECANCELED)
                        return r;
                end_by(vcpu, address, reason);
        }
        return 0;
}

/* An access that is not served was dropped, or has read all-ones, and ends the run. */
static void serve(VCPU *vcpu, const Trap *trap) {
        Detail reason = {};
        int r;

        r = catch_up(vcpu, &reason);
        if (r == 0)
                r = vcpu->ops->trap(vcpu->userdata, trap, &reason);
        if (r == 0)
                return;
        if (!trap->is_write)
                memset(trap->data, 0xff, trap->length);
        end_by(vcpu, trap->address, &reason);
}

static void serve_all(VCPU *vcpu) {
        Trap trap;

        for (uint32_t n = vcpu_exit_traps(vcpu->run, &trap); n > 0; n--) {
                serve(vcpu, &trap);
                trap.data = (char *)trap.data + trap.length;
        }
}

static void count_step(VCPU *vcpu) {
        if (vcpu->steps_left > 0 && --vcpu->steps_left == 0 && vcpu->cause != BY_TRAP)
                end_soon(vcpu, BY_STEPS);
}

/* False: the run has ended. */
static bool serve_exit(VCPU *vcpu) {
        unsigned kind = vcpu_exit_kind(vcpu->run->exit_reason);
        VCPUState state = vcpu_exit_state(kind);

        count_exit(vcpu, kind);
        if (state != VCPU_RUNNING) {
                end_here(vcpu, state, 0, vcpu_exit_word(kind));
                return false;
        }
        serve_all(vcpu);
        count_step(vcpu);
        return true;
}

/* Kicked, or told to end; if the latter, the last instruction is complete. */
static bool go_on(VCPU *vcpu) {
        count_exit(vcpu, KVM_EXIT_INTR);
        if (run_gate_take_nudge(&vcpu->runner))
                (void)catch_up(vcpu, &(Detail){});
        if (!run_gate_is_interrupted(&vcpu->runner))
                return true;
        if (vcpu->cause != BY_TRAP)
                end_here(vcpu, VCPU_STOPPED, 0, vcpu->cause == BY_STEPS ? "step" : "stop");
        return false;
}

static bool run_once(VCPU *vcpu) {
        int r;

        run_gate_enter(vcpu->gate, &vcpu->runner);
        r = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
        run_gate_leave(vcpu->gate, &vcpu->runner);
        if (r == 0)
                return serve_exit(vcpu);
        if (r == -EINTR)
                return go_on(vcpu);
        end_here(vcpu, VCPU_FAILED, -r, strerrorname_np(-r));
        return false;
}

/* What the guest wrote is made although the run has been told to stop, but not at any price. */
static void end_run(VCPU *vcpu) {
        VCPUEnd end = vcpu->coming;

        vcpu->patience = (Patience){-1, monotonic_usec() + END_USEC};
        (void)catch_up(vcpu, &(Detail){});
        if (end.state == VCPU_SHUTDOWN || end.state == VCPU_FAILED)
                vcpu->coming = end;
}

static void run(VCPU *vcpu) {
        vcpu->patience = (Patience){vcpu->stop_fd, UINT64_MAX};
        run_gate_link(vcpu->gate, &vcpu->runner);
        while (run_once(vcpu))
                ;
        end_run(vcpu);
        run_gate_unlink(vcpu->gate, &vcpu->runner);

        pthread_mutex_lock(&vcpu->lock);
        vcpu->runs = false;
        vcpu->has_end = true;
        pthread_mutex_unlock(&vcpu->lock);
        vcpu->ops->ended(vcpu->userdata);
}

/* False: it is to quit. */
static bool await_start(VCPU *vcpu) {
        bool starts;

        pthread_mutex_lock(&vcpu->lock);
        while (!vcpu->runs && !vcpu->quits)
                pthread_cond_wait(&vcpu->commanded, &vcpu->lock);
        starts = vcpu->runs;
        pthread_mutex_unlock(&vcpu->lock);
        return starts;
}

static void *vcpu_main(void *data) {
        const VCPU *vcpu = data;
        char name[16];

        snprintf(name, sizeof(name), "vcpu %" PRIu32, vcpu->index);
        (void)pthread_setname_np(pthread_self(), name);
        rcu_register();
        while (await_start(data))
                run(data);
        rcu_unregister();
        return NULL;
}

/* Signals are for the others, but for the gate's. */
static int start_thread(VCPU *vcpu) {
        sigset_t all_but_kick, before;
        int r;

        sigfillset(&all_but_kick);
        sigdelset(&all_but_kick, RUN_GATE_SIGNAL);
        pthread_sigmask(SIG_SETMASK, &all_but_kick, &before);
        r = pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        vcpu->has_thread = r == 0;
        return -r;
}

static int refused(const VCPU *vcpu, const char *call, int error, Detail *detail) {
        return detail_set(detail, MAP_E_KVM, "vCPU %u: %s: %s", vcpu->index, call,
                          strerror(-error));
}

/* An outcome that says why, and not yet whose it is. */
static int of_vcpu(const VCPU *vcpu, int r, Detail *detail) {
        if (r > 0)
                detail_prefix(detail, "vCPU %u: ", vcpu->index);
        return r;
}

static int map_run(VCPU *vcpu, int kvm_fd) {
        int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
        void *run;

        if (size < 0)
                return -errno;
        run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
        if (run == MAP_FAILED)
                return -errno;
        vcpu->run = run;
        vcpu->run_size = (size_t)size;
        vcpu->runner.immediate_exit = &vcpu->run->immediate_exit;
        return 0;
}

static int create(VCPU *vcpu, Detail *detail) {
        int vm_fd = accelerator_vm_fd(vcpu->kvm);

        if (ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0)
                return refused(vcpu, "KVM_CAP_IMMEDIATE_EXIT", -ENOTSUP, detail);
        vcpu->fd = ioctl(vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
        return vcpu->fd < 0 ? refused(vcpu, "KVM_CREATE_VCPU", -errno, detail) : 0;
}

/* What there is already stays. */
static int equip(VCPU *vcpu, int kvm_fd, Detail *detail) {
        int r;

        r = vcpu->run ? 0 : map_run(vcpu, kvm_fd);
        if (r < 0)
                return refused(vcpu, "its kvm_run", r, detail);
        r = host_equip_vcpu(kvm_fd, vcpu->fd, vcpu->index);
        if (r < 0)
                return refused(vcpu, "KVM_SET_CPUID2", r, detail);
        r = vcpu->first ? 0 : vcpu_image_new(&vcpu->first, kvm_fd, vcpu->fd);
        return r < 0 ? refused(vcpu, "its first state", r, detail) : 0;
}

int vcpu_make(VCPU *vcpu, Detail *detail) {
        _cleanup_(closep) int kvm_fd = -1;
        int r;

        if (vcpu->has_thread)
                return 0;
        r = kvm_open(&kvm_fd);
        if (r < 0)
                return refused(vcpu, "/dev/kvm", r, detail);
        r = vcpu->fd < 0 ? create(vcpu, detail) : 0;
        if (r == 0)
                r = equip(vcpu, kvm_fd, detail);
        if (r != 0)
                return r;
        r = start_thread(vcpu);
        return r < 0 ? refused(vcpu, "its thread", r, detail) : 0;
}

int vcpu_new(VCPU **ret, const Accelerator *kvm, RunGate *gate, uint32_t index, const VCPUOps *ops,
             void *userdata) {
        _cleanup_(vcpu_freep) VCPU *vcpu = calloc(1, sizeof(*vcpu));

        if (!vcpu)
                return -ENOMEM;
        vcpu->index = index;
        vcpu->fd = -1;
        vcpu->kvm = kvm;
        vcpu->gate = gate;
        vcpu->ops = ops;
        vcpu->userdata = userdata;
        pthread_mutex_init(&vcpu->lock, NULL);
        pthread_cond_init(&vcpu->commanded, NULL);
        vcpu->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (vcpu->stop_fd < 0)
                return -errno;
        *ret = TAKE_PTR(vcpu);
        return 0;
}

static void end_thread(VCPU *vcpu) {
        pthread_mutex_lock(&vcpu->lock);
        vcpu->quits = true;
        pthread_cond_signal(&vcpu->commanded);
        pthread_mutex_unlock(&vcpu->lock);
        vcpu_stop(vcpu);
        pthread_join(vcpu->thread, NULL);
}

VCPU *vcpu_free(VCPU *vcpu) {
        if (!vcpu)
                return NULL;
        if (vcpu->has_thread)
                end_thread(vcpu);
        vcpu_image_free(vcpu->first);
        if (vcpu->run)
                munmap(vcpu->run, vcpu->run_size);
        safe_close(vcpu->stop_fd);
        safe_close(vcpu->fd);
        pthread_cond_destroy(&vcpu->commanded);
        pthread_mutex_destroy(&vcpu->lock);
        free(vcpu);
        return NULL;
}

uint32_t vcpu_index(const VCPU *vcpu) {
        return vcpu->index;
}

void *vcpu_mapping(const VCPU *vcpu) {
        return vcpu->run;
}

const Patience *vcpu_patience(const VCPU *vcpu) {
        return &vcpu->patience;
}

VCPUState vcpu_state(const VCPU *vcpu) {
        return vcpu->state;
}

bool vcpu_is_stepping(const VCPU *vcpu) {
        return vcpu->is_stepping;
}

uint64_t vcpu_n_exits(const VCPU *vcpu, unsigned kind) {
        return counter_get(&vcpu->exits[kind]) - vcpu->before[kind];
}

uint64_t vcpu_n_exits_ever(const VCPU *vcpu, unsigned kind) {
        return counter_get(&vcpu->exits[kind]);
}

static int check_idle(const VCPU *vcpu, Detail *detail) {
        if (vcpu->state != VCPU_RUNNING)
                return 0;
        return detail_set(detail, MAP_E_IN_USE, "vCPU %u is running", vcpu->index);
}

int vcpu_start(VCPU *vcpu, uint32_t steps, Detail *detail) {
        eventfd_t unused;
        int r;

        r = check_idle(vcpu, detail);
        if (r != 0)
                return r;
        vcpu->state = VCPU_RUNNING;
        vcpu->is_stepping = steps > 0;
        pthread_mutex_lock(&vcpu->lock);
        vcpu->steps_left = steps;
        vcpu->cause = BY_OWNER;
        (void)eventfd_read(vcpu->stop_fd, &unused);
        run_gate_allow(&vcpu->runner);
        vcpu->runs = true;
        pthread_cond_signal(&vcpu->commanded);
        pthread_mutex_unlock(&vcpu->lock);
        return 0;
}

void vcpu_stop(VCPU *vcpu) {
        (void)eventfd_write(vcpu->stop_fd, 1);
        run_gate_interrupt(vcpu->gate, &vcpu->runner);
}

bool vcpu_take_end(VCPU *vcpu, VCPUEnd *ret) {
        bool has_end;

        pthread_mutex_lock(&vcpu->lock);
        has_end = vcpu->has_end;
        vcpu->has_end = false;
        if (has_end)
                vcpu->end = vcpu->coming;
        pthread_mutex_unlock(&vcpu->lock);
        if (has_end) {
                vcpu->state = vcpu->end.state;
                *ret = vcpu->end;
        }
        return has_end;
}

const VCPUEnd *vcpu_last_end(const VCPU *vcpu) {
        return &vcpu->end;
}

int vcpu_read(const VCPU *vcpu, VCPURegisters *ret, Detail *detail) {
        int r;

        r = check_idle(vcpu, detail);
        if (r != 0)
                return r;
        r = vcpu_registers_read(ret, vcpu->fd);
        return r < 0 ? refused(vcpu, "its registers", r, detail) : 0;
}

int vcpu_write(const VCPU *vcpu, const VCPURegisters *registers, Detail *detail) {
        int r;

        r = check_idle(vcpu, detail);
        return r != 0 ? r
                      : of_vcpu(vcpu, vcpu_registers_write(registers, vcpu->fd, detail), detail);
}

int vcpu_reset(VCPU *vcpu, const VCPUSetup *setup, Detail *detail) {
        VCPURegisters registers;
        int r;

        r = check_idle(vcpu, detail);
        if (r != 0)
                return r;
        r = of_vcpu(vcpu, vcpu_image_put(vcpu->first, vcpu->fd, detail), detail);
        if (r != 0)
                return r;
        r = vcpu_read(vcpu, &registers, detail);
        if (r != 0)
                return r;
        vcpu->state = VCPU_STOPPED;
        vcpu->end = (VCPUEnd){};
        memcpy(vcpu->before, vcpu->exits, sizeof(vcpu->before));
        vcpu_mode_set_registers(setup, &registers);
        return vcpu_write(vcpu, &registers, detail);
}

int vcpu_save(const VCPU *vcpu, VCPUImage **ret, Detail *detail) {
        int r;

        r = check_idle(vcpu, detail);
        if (r != 0)
                return r;
        r = vcpu_image_take(ret, vcpu->first, vcpu->fd);
        return r < 0 ? refused(vcpu, "its state", r, detail) : 0;
}

size_t vcpu_saved_size(const VCPU *vcpu) {
        return vcpu->first->size;
}

int vcpu_restore(VCPU *vcpu, const void *bytes, size_t size, const VCPUEnd *end, Detail *detail) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        int r;

        r = vcpu_image_read(&image, vcpu->first, bytes, size);
        if (r < 0)
                return refused(vcpu, "what was saved", r, detail);
        r = of_vcpu(vcpu, vcpu_image_put_new(image, vcpu->fd, detail), detail);
        if (r != 0)
                return r;
        vcpu->state = end->state;
        vcpu->end = *end;
        return 0;
}
