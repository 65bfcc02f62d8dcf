/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Between guestmapd and guestmap-vmd
 *
 * guestmap-vmd serves D-Bus on a stream socket without a bus. A connection on which the private
 * interface is called is guestmapd's, and replaces an older one; any other is that of somebody who
 * may open the socket, and may do everything. The objects there are those of the contract, under
 * the paths of the contract, so that guestmapd forwards messages without looking into them. The
 * sender field of a forwarded call is the client's unique name on the bus.
 *
 * guestmap-vmd calls listen() on the socket it is given although it listens already: whoever called
 * it last is the one that SO_PEERCRED names to a guestmapd which connects later, and so is known
 * by its pid without being asked.
 *
 * Object GUESTMAP_PATH_PRIVATE, interface GUESTMAP_INTERFACE_PRIVATE:
 *
 *   Setup(s name, s id, u owner, a{sv} options)
 *       The first call, once in a process' life; everything else is refused before it. `id` is 32
 *       hexadecimal digits. Options: accelerator s, memory-space s, layout s, layout-fd h: those
 *       of CreateVM; limits a{st}, of Manager.Limits those that are a process' to enforce. Answers
 *       when the layout is in force. Fails with the contract's errors; the process exits then.
 *   Describe() → (s name, s id, u owner, s accelerator, s state, t generation, s why)
 *       What a guestmapd that has restarted asks instead. Name is "" until Setup is answered. State
 *       "crashed": the process could not make the VM again, and `why`; it serves VM.GetBacking and
 *       no more, and ends by Quit; who it was is said as far as that is known. The connection ends
 *       when the process has made it after all, or for another reason cannot. State "destroyed":
 *       there is none, nor is one missing, since it was durable and is destroyed.
 *   Caller(s unique, u uid)
 *       Before the first call forwarded for that sender: who it is. What it may do guestmapd has
 *       checked for each call. A call from a sender that was not announced is refused; one without
 *       a sender is guestmapd's own (GetAll of the VM's properties). Wants no reply.
 *   Connect(u uid, u rights) → (h connection)
 *       The other end of a connection of somebody's own, who is of that uid and has these rights
 *       (GUESTMAP_RIGHT_*) for as long as it lasts, whatever becomes of guestmapd. Called instead
 *       of forwarding VM.OpenConnection.
 *   CallerGone(s unique)
 *       It left the bus: its transactions that live as long as it does are rolled back. Wants no
 *       reply. The end of the connection says the same of every caller at once.
 *   Offer()
 *       A guestmapd that runs the process itself has started again, and has nothing of what the
 *       process stored: all of it is sent to $NOTIFY_SOCKET once more, before this is answered.
 *   LimitRAM(b limited) → (t bytes)
 *       Whether the user's VMs may have so much RAM and no more: then the process asks with
 *       ReserveRAM, from now on, before its VM has more than these bytes, which are what it has, or
 *       will have once the change under way is made. Called when guestmapd has connected, when its
 *       configuration has changed, and before the VM of another process is refused.
 *   Quit()
 *       Answers, then the process ends: the VM is destroyed.
 *   signal Destroyed()
 *       The last message of a process whose VM was destroyed by somebody else, who has the socket.
 *       One that ends without it, or Quit, is followed by another.
 *
 * None of them but Setup and Offer waits for anything.
 *
 * The same object and interface at guestmapd's end:
 *
 *   ReserveRAM(t bytes) → (s refusal)
 *       The VM is to have so much RAM in all. "": it may; else why not, in words for QuotaExceeded.
 *       The answer waits until all other VMs of the user have said what they have. One question at
 *       a time: a later one stands for those before it.
 */

#include "api/names.h"

#define GUESTMAP_PATH_PRIVATE GUESTMAP_PATH "/private"

/* What a caller may do: classes of methods. */
enum {
        GUESTMAP_RIGHT_NONE = 0, /* what anybody may */
        GUESTMAP_RIGHT_INSPECT = 1 << 0,
        GUESTMAP_RIGHT_MODIFY = 1 << 1,
        GUESTMAP_RIGHT_ACCESS_MEMORY = 1 << 2,
        GUESTMAP_RIGHT_ADMIN = 1 << 3,  /* destroy a VM */
        GUESTMAP_RIGHT_CREATE = 1 << 4, /* make a new one */
        GUESTMAP_RIGHTS_ALL = (1 << 5) - 1,
};
