# SPDX-License-Identifier: GPL-2.0-only
# The commands' output, exit statuses and messages, without Xen.
CLI_TESTS = tests/cli/t-hvdrv tests/cli/t-repo tests/cli/t-xl tests/cli/t-completion tests/cli/t-host \
	tests/cli/t-observe tests/cli/t-stamp
TESTS += $(CLI_TESTS)
EXTRA_DIST += $(CLI_TESTS) tests/cli/lib.sh tests/cli/dom0.sh tests/cli/prometheus.py tests/cli/fakehost.py

if WITH_XL
# the dispatcher with folders of the test's own
check_PROGRAMS += tests/cli/xl-here
tests_cli_xl_here_SOURCES = xl-plugin/xl.c
tests_cli_xl_here_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/xl-plugin -UHV_REAL_XL -DHV_REAL_XL='"bin/xl"' -UHV_BIN_DIR -DHV_BIN_DIR='"bin"' \
	-UHV_STATE_DIR -DHV_STATE_DIR='"state"'
tests_cli_xl_here_CFLAGS = $(AM_CFLAGS)
tests_cli_xl_here_LDADD = libguestcfg.la libhvdrv.la
endif
