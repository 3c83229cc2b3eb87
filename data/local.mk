# SPDX-License-Identifier: GPL-2.0-only
systemdsystemunitdir = $(SYSTEMD_UNITDIR)
nodist_systemdsystemunit_DATA = data/hvdrvd.service data/hvdrv-keeper@.service
data/hvdrvd.service: data/hvdrvd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) data && $(SED) 's,@SBINDIR@,$(sbindir),' $(srcdir)/data/hvdrvd.service.in >$@
data/hvdrv-keeper@.service: data/hvdrv-keeper@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) data && $(SED) 's,@LIBEXECDIR@,$(pkglibexecdir),' '$(srcdir)/data/hvdrv-keeper@.service.in' >$@
CLEANFILES += data/hvdrvd.service data/hvdrv-keeper@.service
dist_pkgdata_DATA = data/nvme-passthrough.conf
EXTRA_DIST += data/hvdrvd.service.in data/hvdrv-keeper@.service.in data/completion.bash

completiondir = $(datadir)/bash-completion/completions
install-data-local: install-completion
install-completion:
	$(MKDIR_P) "$(DESTDIR)$(completiondir)"
	$(INSTALL_DATA) $(srcdir)/data/completion.bash "$(DESTDIR)$(completiondir)/hvdrv"
uninstall-local: uninstall-completion
uninstall-completion:
	rm -f "$(DESTDIR)$(completiondir)/hvdrv"
