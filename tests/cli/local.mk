# SPDX-License-Identifier: GPL-2.0-only
# The commands' output, exit statuses and messages, without Xen.
CLI_TESTS = tests/cli/t-hvdrv tests/cli/t-repo
TESTS += $(CLI_TESTS)
EXTRA_DIST += $(CLI_TESTS) tests/cli/lib.sh tests/cli/fakehost.py
