# SPDX-License-Identifier: GPL-2.0-only
EXTRA_DIST += tests/lab tests/deb tests/common.sh tests/packages
include tests/fuzz/local.mk
include tests/meta/local.mk
include tests/cli/local.mk

if WITH_CHECK
include tests/unit/local.mk
endif
