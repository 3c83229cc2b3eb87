# SPDX-License-Identifier: GPL-2.0-only
# Debian packages, built by dpkg-buildpackage in a copy of what is shipped; they are left in debs/.
EXTRA_DIST += debian
DEBS = debs
debs_tree = $(DEBS)/hvdrv-$(PACKAGE_VERSION)
copy_for_debs = rm -rf $(DEBS) && $(MKDIR_P) $(DEBS) && $(MAKE) $(AM_MAKEFLAGS) distdir distdir=$(debs_tree)
# this make's variables are not those of a build of its own; its tests are `make check`
build_debs = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u DESTDIR DEB_BUILD_PROFILES=nocheck \
	DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$$(nproc)" dpkg-buildpackage -us -uc
.PHONY: debs guest-deb
debs:
	$(copy_for_debs)
	cd $(debs_tree) && $(build_debs)

# what a guest needs, alone: nothing is compiled for it here
GUEST_DEB = hvdrv-guest-dkms_$(PACKAGE_VERSION)_all.deb
guest-deb: $(GUEST_DEB)
$(GUEST_DEB): DEBS = debs-guest
$(GUEST_DEB): $(GUEST_SRC) include/hvdrv/abi.h frontend/linux/60-hvdrv.rules frontend/linux/hvdrv.conf debian/changelog debian/control \
		debian/rules debian/hvdrv-guest-dkms.dkms debian/hvdrv-guest-dkms.initramfs-hook debian/hvdrv-guest-dkms.install \
		debian/hvdrv-guest-dkms.postinst debian/hvdrv-guest-dkms.manpages man/hvdrv-guest.7
	$(copy_for_debs)
	cd $(debs_tree) && $(build_debs) -A
	cp $(DEBS)/$(GUEST_DEB) $@
	rm -rf $(DEBS)
CLEANFILES += $(GUEST_DEB)
clean-local: clean-debs
clean-debs:
	rm -rf debs debs-guest
