# SPDX-License-Identifier: GPL-2.0-only
sbin_PROGRAMS += hvdrvd
hvdrvd_SOURCES = backend/control/main.c backend/control/daemon.h backend/control/scan.c backend/control/device.c \
	backend/control/connect.c backend/control/os.c backend/control/serve.c backend/control/retarget.c backend/control/path.c backend/control/watch.c \
	backend/control/recover.c backend/control/link.c backend/control/outbox.c backend/control/outbox.h backend/control/conflict.c backend/control/generate.c backend/control/signer.c \
	backend/control/policy.c backend/control/direct.c backend/control/direct-check.c backend/control/keepers.c backend/control/revoke.c backend/control/refresh.c backend/control/note.c backend/control/dryrun.c backend/control/share.c \
	backend/control/requests.c backend/control/show.c backend/control/counters.c backend/control/guest-counts.c backend/control/counters.h \
	backend/control/events.c backend/control/events.h \
	backend/guest-os/kernel.c backend/guest-os/kernel.h backend/guest-os/toolstack.c backend/guest-os/toolstack.h \
	backend/target/target.c backend/target/target.h backend/target/disk.c backend/target/header.c \
	backend/target/holder.c backend/target/namespace.c backend/target/namespace.h backend/target/nvme.c backend/wire.c backend/wire.h backend/turns.h backend/keep.h backend/nvme-id.h
hvdrvd_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrvd_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(SODIUM_CFLAGS) $(JSON_CFLAGS)
hvdrvd_LDADD = libplace.la libcore.la libhost_xen.la $(EVENT_LIBS) $(SODIUM_LIBS) $(JSON_LIBS)

# what the worker is made of, also for its tests
noinst_LTLIBRARIES += libserve.la
libserve_la_SOURCES = backend/worker/serve.c backend/worker/format.c backend/worker/hold.c backend/worker/stats.c backend/worker/pool.c \
	backend/worker/turns.c backend/worker/device.c backend/worker/ctl.c backend/wire.c backend/worker/worker.h \
	backend/worker/guest.h backend/host-io/io.h backend/host-io/step.c backend/host-io/plain.c \
	backend/host-io/nvme.c backend/host-io/nvme.h backend/worker/way.c
libserve_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
libserve_la_CFLAGS = $(AM_CFLAGS)
if WITH_URING
libserve_la_SOURCES += backend/host-io/uring.c backend/host-io/ring.c backend/host-io/ring.h
libserve_la_CFLAGS += $(URING_CFLAGS)
libserve_la_LIBADD = $(URING_LIBS)
endif

pkglibexec_PROGRAMS += hvdrv-worker hvdrv-watch hvdrv-share hvdrv-keeper
hvdrv_watch_SOURCES = backend/watch/main.c
hvdrv_watch_LDADD = libplace.la libcore.la libhost_xen.la $(SODIUM_LIBS) $(JSON_LIBS)

hvdrv_worker_SOURCES = backend/worker/main.c backend/worker/guest-xen.c backend/worker/depriv.c backend/gntdev.c backend/gntdev.h
hvdrv_worker_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrv_worker_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
hvdrv_worker_LDADD = libserve.la libworkring.la $(SECCOMP_LIBS)

# only what a worker needs of the library: no JSON, no signatures
noinst_LTLIBRARIES += libworkring.la
libworkring_la_SOURCES = libhvdrv/ring/blkif.c libhvdrv/ring/nvme.c libhvdrv/ring/virtq.c libhvdrv/util/err.c libhvdrv/util/log.c libhvdrv/util/str.c \
	libhvdrv/util/sock.c libhvdrv/util/depriv.c libhvdrv/util/depriv.h
libworkring_la_CFLAGS = $(AM_CFLAGS)

# turns on a target that takes a few requests at once
noinst_LTLIBRARIES += libshare.la
libshare_la_SOURCES = backend/share/sched.c backend/share/sched.h backend/share/arbiter.c backend/share/arbiter.h
libshare_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
libshare_la_CFLAGS = $(AM_CFLAGS)
hvdrv_share_SOURCES = backend/share/main.c
hvdrv_share_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrv_share_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
hvdrv_share_LDADD = libshare.la libworkring.la $(SECCOMP_LIBS)

# hardware queues in guests' pages, one process per controller
noinst_LTLIBRARIES += libkeeper.la
libkeeper_la_SOURCES = backend/keeper/queues.c backend/keeper/list.c backend/keeper/witness.c backend/keeper/keeper.h backend/keep.h \
	libhvdrv/util/file.c libhvdrv/util/notify.c
libkeeper_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
libkeeper_la_CFLAGS = $(AM_CFLAGS)
hvdrv_keeper_SOURCES = backend/keeper/main.c backend/keeper/machine.c backend/keeper/machine.h backend/gntdev.c backend/gntdev.h
hvdrv_keeper_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
hvdrv_keeper_LDADD = libkeeper.la libworkring.la
