# SPDX-License-Identifier: GPL-2.0-only
# Debian packages, built by dpkg-buildpackage in a copy of what is shipped; they are left in debs/.
EXTRA_DIST += debian
DEBS = debs
debs_tree = $(DEBS)/hvdrv-$(PACKAGE_VERSION)
copy_for_debs = rm -rf $(DEBS) && $(MKDIR_P) $(DEBS) && $(MAKE) $(AM_MAKEFLAGS) distdir distdir=$(debs_tree)
# this make's variables are not those of a build of its own; its tests are `make check`
build_debs = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u DESTDIR DEB_BUILD_PROFILES=nocheck \
	DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$$(nproc)" dpkg-buildpackage -us -uc
sum_of_sources = find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
.PHONY: debs debs-current
debs:
	$(copy_for_debs)
	cd $(debs_tree) && $(sum_of_sources) >../sources && $(build_debs)
	touch $(DEBS)/complete

# unless those that are in debs/ were made of these sources
debs-current:
	rm -rf debs-now && $(MAKE) $(AM_MAKEFLAGS) distdir distdir=debs-now
	cd debs-now && $(sum_of_sources) >../debs-now.sum; rm -rf ../debs-now
	if test -e $(DEBS)/complete && cmp -s debs-now.sum $(DEBS)/sources; then :; else $(MAKE) $(AM_MAKEFLAGS) debs; fi
	rm -f debs-now.sum
clean-local: clean-debs
clean-debs:
	rm -rf debs debs-now debs-now.sum
