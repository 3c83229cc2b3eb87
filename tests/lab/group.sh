#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# the script that runlab gives to xenbox: scenarios, in dom0
exec /lab/group "$@"
