# SPDX-License-Identifier: GPL-2.0-only
# What the benchmarks bring to the lab's dom0; made by bench/run and bench/run-mapcost; and what times the repository (bench/run-repo). (bench/run-insns makes its plugin itself.)
EXTRA_PROGRAMS += bench/cputime
bench_cputime_SOURCES = bench/cputime.c
bench_cputime_CFLAGS = $(AM_CFLAGS) $(XENCTRL_CFLAGS)
bench_cputime_LDADD = $(XENCTRL_LIBS)
EXTRA_PROGRAMS += bench/repotime
bench_repotime_SOURCES = bench/repotime.c
bench_repotime_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
bench_repotime_LDADD = libplace.la libcore.la $(SODIUM_LIBS) $(JSON_LIBS)
DIST_PRUNE += bench/cputime bench/mapcost bench/repotime bench/.deps bench/.libs bench/.dirstamp bench/*.o
CLEANFILES += bench/cputime bench/mapcost bench/repotime

if WITH_URING
EXTRA_PROGRAMS += bench/mapcost
bench_mapcost_SOURCES = bench/mapcost.c bench/mapcost-ways.c bench/mapcost-kill.c bench/mapcost.h backend/worker/guest-xen.c \
	backend/worker/guest.h backend/gntdev.c backend/gntdev.h libhvdrv/ring/desc.c libhvdrv/ring/desc.h
bench_mapcost_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
bench_mapcost_CFLAGS = $(AM_CFLAGS) $(XEN_CFLAGS) $(URING_CFLAGS)
bench_mapcost_LDADD = libhost_store.la libcore.la $(JSON_LIBS) $(XENSTORE_LIBS) $(URING_LIBS)
endif
