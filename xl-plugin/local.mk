# SPDX-License-Identifier: GPL-2.0-only
bin_PROGRAMS += hvdrv
hvdrv_SOURCES = xl-plugin/hvdrv.c
hvdrv_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
hvdrv_LDADD = libhvdrv.la libcore.la $(JSON_LIBS)
