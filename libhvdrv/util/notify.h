/* SPDX-License-Identifier: LGPL-2.1-only */
#ifndef HV_UTIL_NOTIFY_H
#define HV_UTIL_NOTIFY_H

/* Tells systemd (sd_notify(3), the protocol is stable); nothing without NOTIFY_SOCKET. "READY=1", "STATUS=..." */
void hv_notify(const char *state);

#endif
