# SPDX-License-Identifier: GPL-2.0-only
bin_PROGRAMS += hvdrv-repo
hvdrv_repo_SOURCES = repo/main.c repo/conf.c repo/conf.h repo/desc.c repo/desc.h repo/schema.c repo/schema.h repo/skeleton.c \
	repo/skeleton.h repo/emit.c repo/emit.h repo/build.c repo/build.h \
	repo/elf.c repo/key.c repo/key.h repo/cmd.h repo/keys.c repo/find.c repo/gc.c
hvdrv_repo_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/repo
hvdrv_repo_CFLAGS = $(AM_CFLAGS) $(CONFIG_CFLAGS) $(ELF_CFLAGS) $(SODIUM_CFLAGS) $(JSON_CFLAGS)
hvdrv_repo_LDADD = libplace.la libcore.la $(CONFIG_LIBS) $(ELF_LIBS) $(SODIUM_LIBS) $(JSON_LIBS)

devicesdir = $(pkgdatadir)/devices
dist_devices_DATA = repo/devices/blkif.conf repo/devices/nvme.conf repo/devices/nvme-direct.conf repo/devices/virtio-blk.conf
osesdir = $(pkgdatadir)/oses
dist_oses_DATA = repo/oses/linux-6.1-x86_64.conf repo/oses/linux-6.12-x86_64.conf repo/oses/linux-x86_64.inc
