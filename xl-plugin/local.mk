# SPDX-License-Identifier: GPL-2.0-only
bin_PROGRAMS += hvdrv
hvdrv_SOURCES = xl-plugin/hvdrv.c xl-plugin/cli.h xl-plugin/row.c xl-plugin/show.c xl-plugin/events.c xl-plugin/top.c \
	xl-plugin/metrics.c xl-plugin/check.c
hvdrv_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
hvdrv_LDADD = libhvdrv.la libcore.la $(JSON_LIBS)

if WITH_XL
# a guest's xl configuration, also for its tests
noinst_LTLIBRARIES += libguestcfg.la
libguestcfg_la_SOURCES = xl-plugin/guestcfg.c xl-plugin/guestcfg.h
libguestcfg_la_CFLAGS = $(AM_CFLAGS) $(UUID_CFLAGS)
libguestcfg_la_LIBADD = libcore.la -lxlutil $(UUID_LIBS)

pkglibexec_PROGRAMS += xl-hvdrv
xl_hvdrv_SOURCES = xl-plugin/xl.c
xl_hvdrv_CFLAGS = $(AM_CFLAGS)
xl_hvdrv_LDADD = libguestcfg.la libhvdrv.la

# `xl` is found in XL_DIR before the real one
install-exec-hook: install-xl
uninstall-hook: uninstall-xl
install-xl:
	$(MKDIR_P) "$(DESTDIR)$(XL_DIR)"
	$(LN_S) -f "$(pkglibexecdir)/xl-hvdrv" "$(DESTDIR)$(XL_DIR)/xl"
uninstall-xl:
	rm -f "$(DESTDIR)$(XL_DIR)/xl"
endif
