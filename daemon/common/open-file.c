/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/common/open-file.h"

int open_files_check(void) {
        pid_t self = getpid();

        return syscall(SYS_kcmp, self, self, KCMP_VM, 0, 0) < 0 ? -errno : 0;
}

int open_files_compare(int a, int b) {
        pid_t self = getpid();

        switch (syscall(SYS_kcmp, self, self, KCMP_FILE, a, b)) {
        case 0:
                return 0;
        case 1:
                return -1;
        default:
                return 1;
        }
}
