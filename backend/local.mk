# SPDX-License-Identifier: GPL-2.0-only
sbin_PROGRAMS += hvdrvd
hvdrvd_SOURCES = backend/control/main.c backend/control/daemon.h backend/control/scan.c backend/control/device.c \
	backend/control/connect.c backend/control/retarget.c backend/control/watch.c backend/control/recover.c backend/control/link.c backend/control/conflict.c backend/control/generate.c \
	backend/control/requests.c backend/target/target.c backend/target/target.h backend/target/header.c \
	backend/target/holder.c backend/wire.h
hvdrvd_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrvd_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(SODIUM_CFLAGS) $(JSON_CFLAGS)
hvdrvd_LDADD = libplace.la libcore.la libhost_xen.la $(EVENT_LIBS) $(SODIUM_LIBS) $(JSON_LIBS)

# what the worker is made of, also for its tests
noinst_LTLIBRARIES += libserve.la
libserve_la_SOURCES = backend/worker/serve.c backend/worker/format.c backend/worker/hold.c backend/worker/device.c backend/worker/ctl.c backend/worker/worker.h \
	backend/worker/guest.h backend/host-io/io.h backend/host-io/step.c backend/host-io/plain.c
libserve_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
libserve_la_CFLAGS = $(AM_CFLAGS)
if WITH_URING
libserve_la_SOURCES += backend/host-io/uring.c
libserve_la_CFLAGS += $(URING_CFLAGS)
libserve_la_LIBADD = $(URING_LIBS)
endif

pkglibexec_PROGRAMS += hvdrv-worker hvdrv-watch
hvdrv_watch_SOURCES = backend/watch/main.c
hvdrv_watch_LDADD = libplace.la libcore.la libhost_xen.la $(SODIUM_LIBS) $(JSON_LIBS)

hvdrv_worker_SOURCES = backend/worker/main.c backend/worker/guest-xen.c backend/worker/depriv.c
hvdrv_worker_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrv_worker_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
hvdrv_worker_LDADD = libserve.la libworkring.la $(SECCOMP_LIBS)

# only what a worker needs of the library: no JSON, no signatures
noinst_LTLIBRARIES += libworkring.la
libworkring_la_SOURCES = libhvdrv/ring/blkif.c libhvdrv/ring/nvme.c libhvdrv/util/err.c libhvdrv/util/log.c libhvdrv/util/str.c \
	libhvdrv/util/sock.c
libworkring_la_CFLAGS = $(AM_CFLAGS)
