# SPDX-License-Identifier: GPL-2.0-only
# What the lab's guests run: test programs, and a test module where the guest's kernel headers are.
noinst_PROGRAMS += tests/lab/guestprogs/hostile
tests_lab_guestprogs_hostile_SOURCES = tests/lab/hostile/hostile.c tests/lab/hostile/nvme.c tests/lab/hostile/storm.c \
	tests/lab/hostile/hostile.h
tests_lab_guestprogs_hostile_CFLAGS = $(AM_CFLAGS) $(XEN_CFLAGS) -pthread
tests_lab_guestprogs_hostile_LDADD = $(XEN_LIBS)
noinst_PROGRAMS += tests/lab/guestprogs/stamp
tests_lab_guestprogs_stamp_SOURCES = tests/lab/stamp/stamp.c tests/lab/stamp/model.c tests/lab/stamp/disk.c tests/lab/stamp/stamp.h
tests_lab_guestprogs_stamp_CFLAGS = $(AM_CFLAGS) -pthread
noinst_PROGRAMS += tests/lab/guestprogs/textsum
tests_lab_guestprogs_textsum_SOURCES = tests/lab/textsum.c
noinst_PROGRAMS += tests/lab/guestprogs/canary
tests_lab_guestprogs_canary_SOURCES = tests/lab/canary.c

if WITH_GUEST_KERNEL
all-local: tests/lab/mods/hvprobe.ko
tests/lab/mods/hvprobe.ko: tests/lab/mods/hvprobe.c tests/lab/mods/Kbuild
	$(AM_V_GEN)rm -rf tests/lab/mods/build && $(MKDIR_P) tests/lab/mods/build && \
	cp $(srcdir)/tests/lab/mods/hvprobe.c $(srcdir)/tests/lab/mods/Kbuild tests/lab/mods/build/ && \
	env -u MAKEFLAGS -u MFLAGS $(MAKE) -s -C $(GUEST_KERNEL) M=$(abs_builddir)/tests/lab/mods/build modules && \
	strip -g -o $@ tests/lab/mods/build/hvprobe.ko
endif
DIST_PRUNE += tests/lab/guestprogs tests/lab/mods/build tests/lab/mods/hvprobe.ko tests/lab/hostile/.deps \
	tests/lab/hostile/.libs tests/lab/hostile/.dirstamp tests/lab/hostile/*.o tests/lab/stamp/.deps tests/lab/stamp/.libs \
	tests/lab/stamp/.dirstamp tests/lab/stamp/*.o tests/lab/*.o
clean-local: clean-probe
clean-probe:
	rm -rf tests/lab/mods/build tests/lab/mods/hvprobe.ko
