# SPDX-License-Identifier: GPL-2.0-only
EXTRA_DIST += tests/lab

if WITH_CHECK
include tests/unit/local.mk
endif
