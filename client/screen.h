/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Screen: the whole terminal, drawn again and again
 *
 * On the terminal's other screen, so that what was there before is there again afterwards, also
 * when a signal ends the program or it is stopped for a while. A picture goes out in one piece and
 * over the one before, without clearing: nothing flickers. What is too long is cut.
 */

#include <stdint.h>

typedef enum ScreenEvent {
        SCREEN_NOTHING, /* until the deadline */
        SCREEN_KEY,
        SCREEN_REDRAW, /* it has another size, or was away */
        SCREEN_END,    /* a signal: screen_leave(), then screen_die() */
} ScreenEvent;

/* Keys beside the characters. */
typedef enum ScreenKey {
        KEY_OTHER = 256,
        KEY_UP,
        KEY_DOWN,
        KEY_PAGE_UP,
        KEY_PAGE_DOWN,
        KEY_HOME,
        KEY_END,
} ScreenKey;

/* -errno: standard input or output is no terminal. */
int screen_enter(void);
/* Nothing if it was not entered, or left. */
void screen_leave(void);
/* Columns; 0 if the terminal does not say. */
int screen_width(void);
/* Lines; 24 if the terminal does not say. */
int screen_height(void);
/* Lines with a newline behind each. */
void screen_show(const char *text);
/* Waits until that, clock.h. *ret: the key, or the signal. */
ScreenEvent screen_wait(uint64_t until_usec, int *ret);
/* Ends the program by that signal. */
_Noreturn void screen_die(int number);
