/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See fault.h. Each function here stands for the C library's of the same name.
 *
 * Allocations and threads fail where the program itself asks for them, not inside of libraries:
 * json-c 0.16 uses the copy of a key without a look whether there is one, libsystemd 252 ends the
 * process when a path could only half be registered, liburcu when it gets no thread.
 */

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fault/fault.h"

/* Allocators are needed before anything can be looked up. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

static FaultPage *page;
static uintptr_t program_first, program_last; /* addresses of its code and data */

static void find_program(void) {
        const ElfW(Phdr) *header = (const ElfW(Phdr) *)getauxval(AT_PHDR);
        size_t n = getauxval(AT_PHNUM);
        uintptr_t base = 0;

        for (size_t i = 0; i < n; i++)
                if (header[i].p_type == PT_PHDR)
                        base = (uintptr_t)header - header[i].p_vaddr;
        program_first = base;
        for (size_t i = 0; i < n; i++)
                if (header[i].p_type == PT_LOAD)
                        program_last = base + header[i].p_vaddr + header[i].p_memsz;
}

__attribute__((constructor)) static void find_page(void) {
        const char *fd = getenv(FAULT_FD);
        void *map;

        if (!fd)
                return;
        map = (void *)syscall(SYS_mmap, NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED,
                              atoi(fd), 0);
        if (map != MAP_FAILED)
                page = map;
        find_program();
}

static bool is_program(const void *address) {
        return (uintptr_t)address >= program_first && (uintptr_t)address < program_last;
}

static bool fails(FaultKind kind) {
        if (!page || atomic_load(&page->kind) != (int)kind || atomic_load(&page->n) <= 0 ||
            atomic_fetch_sub(&page->n, 1) != 1)
                return false;
        atomic_store(&page->failed, true);
        return true;
}

#define REAL(name)                                                                                 \
        ({                                                                                         \
                static typeof(&name) real_;                                                        \
                                                                                                   \
                if (!real_)                                                                        \
                        real_ = (typeof(&name))dlsym(RTLD_NEXT, #name);                            \
                real_;                                                                             \
        })

#define FAIL_AS(kind, error, value)                                                                \
        do {                                                                                       \
                if (fails(kind)) {                                                                 \
                        errno = (error);                                                           \
                        return (value);                                                            \
                }                                                                                  \
        } while (0)

#define FAIL_ALLOCATION()                                                                          \
        do {                                                                                       \
                if (is_program(__builtin_return_address(0)))                                       \
                        FAIL_AS(FAULT_ALLOCATION, ENOMEM, NULL);                                   \
        } while (0)

void *malloc(size_t size) {
        FAIL_ALLOCATION();
        return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        FAIL_ALLOCATION();
        return __libc_calloc(n, size);
}

void *realloc(void *pointer, size_t size) {
        FAIL_ALLOCATION();
        return __libc_realloc(pointer, size);
}

void *reallocarray(void *pointer, size_t n, size_t size) {
        size_t bytes;

        FAIL_ALLOCATION();
        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return __libc_realloc(pointer, bytes);
}

char *strdup(const char *text) {
        size_t size = strlen(text) + 1;
        char *copy;

        FAIL_ALLOCATION();
        copy = __libc_malloc(size);
        return copy ? memcpy(copy, text, size) : NULL;
}

char *strndup(const char *text, size_t n) {
        size_t size = strnlen(text, n);
        char *copy;

        FAIL_ALLOCATION();
        copy = __libc_malloc(size + 1);
        if (copy)
                *(char *)mempcpy(copy, text, size) = '\0';
        return copy;
}

ssize_t write(int fd, const void *data, size_t n) {
        FAIL_AS(FAULT_WRITE, ENOSPC, -1);
        return REAL(write)(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) {
        FAIL_AS(FAULT_WRITE, ENOSPC, -1);
        return REAL(pwrite)(fd, data, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *vectors, int n, off_t offset) {
        FAIL_AS(FAULT_WRITE, ENOSPC, -1);
        return REAL(pwritev)(fd, vectors, n, offset);
}

int ftruncate(int fd, off_t size) {
        FAIL_AS(FAULT_WRITE, ENOSPC, -1);
        return REAL(ftruncate)(fd, size);
}

int rename(const char *from, const char *to) {
        FAIL_AS(FAULT_WRITE, ENOSPC, -1);
        return REAL(rename)(from, to);
}

int fsync(int fd) {
        FAIL_AS(FAULT_WRITE, EIO, -1);
        return REAL(fsync)(fd);
}

int fdatasync(int fd) {
        FAIL_AS(FAULT_WRITE, EIO, -1);
        return REAL(fdatasync)(fd);
}

int ioctl(int fd, unsigned long request, ...) {
        va_list arguments;
        void *argument;

        va_start(arguments, request);
        argument = va_arg(arguments, void *);
        va_end(arguments);
        FAIL_AS(FAULT_IOCTL, ENOMEM, -1);
        return REAL(ioctl)(fd, request, argument);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
        FAIL_AS(FAULT_MAP, ENOMEM, MAP_FAILED);
        return REAL(mmap)(at, size, protection, flags, fd, offset);
}

int madvise(void *at, size_t size, int advice) {
        FAIL_AS(FAULT_MAP, ENOMEM, -1);
        return REAL(madvise)(at, size, advice);
}

/* For which the C library has no function; others, of liburcu, may not fail. */
long syscall(long number, ...) {
        long words[6];
        va_list arguments;

        va_start(arguments, number);
        for (size_t i = 0; i < 6; i++)
                words[i] = va_arg(arguments, long);
        va_end(arguments);
        if (number == SYS_mbind)
                FAIL_AS(FAULT_MAP, ENOMEM, -1);
        return REAL(syscall)(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int memfd_create(const char *name, unsigned flags) {
        FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(memfd_create)(name, flags);
}

int eventfd(unsigned value, int flags) {
        FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(eventfd)(value, flags);
}

int socketpair(int domain, int type, int protocol, int pair[2]) {
        FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(socketpair)(domain, type, protocol, pair);
}

int fcntl(int fd, int command, ...) {
        va_list arguments;
        void *argument;

        va_start(arguments, command);
        argument = va_arg(arguments, void *);
        va_end(arguments);
        if (command == F_DUPFD_CLOEXEC || command == F_DUPFD)
                FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(fcntl)(fd, command, argument);
}

int open(const char *path, int flags, ...) {
        va_list arguments;
        mode_t mode;

        va_start(arguments, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(open)(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
        va_list arguments;
        mode_t mode;

        va_start(arguments, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        FAIL_AS(FAULT_FILE, EMFILE, -1);
        return REAL(openat)(at, path, flags, mode);
}

pid_t fork(void) {
        FAIL_AS(FAULT_PROCESS, EAGAIN, -1);
        return REAL(fork)();
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
        if (is_program(__builtin_return_address(0)) && fails(FAULT_PROCESS))
                return EAGAIN;
        return REAL(pthread_create)(thread, attributes, start, argument);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        if (message->msg_controllen > 0)
                FAIL_AS(FAULT_PASS, ETOOMANYREFS, -1);
        return REAL(sendmsg)(fd, message, flags);
}
