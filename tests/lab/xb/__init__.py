# SPDX-License-Identifier: GPL-2.0-only
"""The parts of xenbox: packages (debs), images, the machine, the command line."""
