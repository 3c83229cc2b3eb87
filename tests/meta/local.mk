# SPDX-License-Identifier: GPL-2.0-only
# Tests of the tree and the build themselves.
META_TESTS = tests/meta/t-layering tests/meta/t-headers tests/meta/t-symbols tests/meta/t-licence tests/meta/t-tree tests/meta/t-man \
	tests/meta/t-install tests/meta/t-configure
TESTS += $(META_TESTS)
EXTRA_DIST += $(META_TESTS) tests/meta/files.sh

# what the tests ask of the build
.PHONY: print-dist print-dirs
print-dist:
	@echo $(DISTFILES:$(srcdir)/%=%)
print-dirs:
	@printf '%s %s\n' bindir "$(bindir)" sbindir "$(sbindir)" pkglibexecdir "$(pkglibexecdir)" pkgdatadir "$(pkgdatadir)" \
		libdir "$(libdir)" includedir "$(includedir)" mandir "$(mandir)" units "$(systemdsystemunitdir)" xldir "$(XL_DIR)"
