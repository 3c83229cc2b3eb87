# SPDX-License-Identifier: LGPL-2.1-only
hvincludedir = $(includedir)/hvdrv
hvinclude_HEADERS = include/hvdrv/abi.h include/hvdrv/hvdrv.h
pkgconfig_DATA += data/hvdrv.pc

# core, ring, util: pure logic; host.h is all they know of a hypervisor
noinst_LTLIBRARIES += libcore.la libhost_store.la libhost_xen.la
libcore_la_SOURCES = \
	libhvdrv/util/err.c libhvdrv/util/err.h libhvdrv/util/file.c libhvdrv/util/file.h \
	libhvdrv/util/str.c libhvdrv/util/str.h libhvdrv/util/table.c libhvdrv/util/table.h libhvdrv/util/exit.h \
	libhvdrv/util/log.c libhvdrv/util/log.h libhvdrv/util/sock.c libhvdrv/util/sock.h libhvdrv/util/list.h \
	libhvdrv/util/depriv.c libhvdrv/util/depriv.h libhvdrv/util/notify.c libhvdrv/util/notify.h \
	libhvdrv/util/hist.c libhvdrv/util/hist.h libhvdrv/util/json.h libhvdrv/util/fault.h \
	libhvdrv/core/params.c libhvdrv/core/params.h libhvdrv/core/keys.c libhvdrv/core/keys.h \
	libhvdrv/core/record.c libhvdrv/core/record.h libhvdrv/host/host.c libhvdrv/host/host.h
libcore_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
libcore_la_LIBADD = $(JSON_LIBS)

# images and placing: hvdrvd and hvdrv-repo only
noinst_LTLIBRARIES += libplace.la
libplace_la_SOURCES = \
	libhvdrv/core/image.c libhvdrv/core/image.h libhvdrv/core/keyring.c libhvdrv/core/trust.c libhvdrv/core/trust.h libhvdrv/core/check.c libhvdrv/core/check.h \
	libhvdrv/core/gate/insn.h libhvdrv/core/gate/allow.c libhvdrv/core/gate/allow.h libhvdrv/core/gate/decode.c \
	libhvdrv/core/gate/state.h libhvdrv/core/gate/value.c libhvdrv/core/gate/join.c libhvdrv/core/gate/learn.c \
	libhvdrv/core/gate/regions.c libhvdrv/core/gate/regions.h libhvdrv/core/gate/number.c libhvdrv/core/gate/number.h \
	libhvdrv/core/gate/step.c libhvdrv/core/gate/step.h libhvdrv/core/gate/order.c libhvdrv/core/gate/order.h \
	libhvdrv/core/gate/loop.c libhvdrv/core/gate/loop.h libhvdrv/core/gate/flow.c libhvdrv/core/gate/flow.h \
	libhvdrv/core/store.c libhvdrv/core/store.h libhvdrv/core/index.c libhvdrv/core/index.h libhvdrv/core/find.c libhvdrv/core/floor.c libhvdrv/core/floor.h libhvdrv/core/place.c libhvdrv/core/place.h \
	libhvdrv/core/policy.c libhvdrv/core/policy.h libhvdrv/core/swap.c libhvdrv/core/swap.h libhvdrv/core/journal.c libhvdrv/core/journal.h libhvdrv/core/retarget.c libhvdrv/core/retarget.h \
	libhvdrv/ring/desc.c libhvdrv/ring/desc.h libhvdrv/ring/blk.h libhvdrv/ring/blkif.c libhvdrv/ring/blkif.h \
	libhvdrv/ring/nvme.c libhvdrv/ring/nvme.h libhvdrv/ring/virtq.c libhvdrv/ring/virtq.h libhvdrv/ring/inflight.h
libplace_la_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(ZYDIS_CFLAGS)
libplace_la_LIBADD = libcore.la $(SODIUM_LIBS) $(ZYDIS_LIBS)

libhost_store_la_SOURCES = libhvdrv/host/xen/store.c libhvdrv/host/xen/store.h
libhost_store_la_CFLAGS = $(AM_CFLAGS) $(XEN_CFLAGS)
libhost_store_la_LIBADD = $(XENSTORE_LIBS)
libhost_xen_la_SOURCES = libhvdrv/host/xen/xen.c
libhost_xen_la_CFLAGS = $(AM_CFLAGS) $(XEN_CFLAGS) $(XENCTRL_CFLAGS)
libhost_xen_la_LIBADD = libhost_store.la $(XEN_LIBS) $(XENCTRL_LIBS)

# a host in the process, for tests
noinst_LTLIBRARIES += libhost_fake.la
libhost_fake_la_SOURCES = libhvdrv/host/fake/fake.c libhvdrv/host/fake/tree.c libhvdrv/host/fake/store.c \
	libhvdrv/host/fake/memory.c libhvdrv/host/fake/fake.h libhvdrv/host/fake/priv.h
libhost_fake_la_CFLAGS = $(AM_CFLAGS)

lib_LTLIBRARIES += libhvdrv.la
libhvdrv_la_SOURCES = libhvdrv/api/api.c libhvdrv/api/wait.c libhvdrv/api/retarget.c libhvdrv/api/path.c libhvdrv/api/weight.c \
	libhvdrv/api/show.c libhvdrv/api/events.c libhvdrv/api/check.c libhvdrv/api/check-device.c libhvdrv/api/check.h \
	libhvdrv/api/ask.c libhvdrv/api/ask.h libhvdrv/api/priv.h
libhvdrv_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
libhvdrv_la_LIBADD = libcore.la libhost_store.la $(JSON_LIBS) $(XENSTORE_LIBS)
libhvdrv_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -Wl,--version-script=$(srcdir)/libhvdrv/api/hvdrv.map $(NO_UNDEFINED)
EXTRA_libhvdrv_la_DEPENDENCIES = libhvdrv/api/hvdrv.map
EXTRA_DIST += libhvdrv/api/hvdrv.map
