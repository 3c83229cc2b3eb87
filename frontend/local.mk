# SPDX-License-Identifier: GPL-2.0-only
# What generated drivers are made of, for hvdrv-repo; and the guest extension for Linux.
driverdir = $(pkgdatadir)/driver
dist_driver_DATA = frontend/driver/prelude.h frontend/driver/ring.c frontend/driver/ring.keys frontend/driver/nvme.c \
	frontend/driver/nvme.keys frontend/driver/virtq.c frontend/driver/virtq.keys
driverincdir = $(pkgdatadir)/include/hvdrv
driverinc_DATA = include/hvdrv/abi.h

GUEST_SRC = frontend/linux/Kbuild frontend/linux/stub.h frontend/linux/main.c frontend/linux/device.c \
	frontend/linux/disk.c frontend/linux/limits.c frontend/linux/queue.c frontend/linux/share.c frontend/linux/slots.c frontend/linux/pool.c \
	frontend/linux/window.c
EXTRA_DIST += $(GUEST_SRC) frontend/linux/60-hvdrv.rules frontend/linux/hvdrv.conf

# Kernel objects are built from copies in the build tree: the source tree may be read-only.
if WITH_GUEST_KERNEL
all-local: frontend/linux/hvdrv.ko
frontend/linux/hvdrv.ko: $(GUEST_SRC) include/hvdrv/abi.h
	$(AM_V_GEN)rm -rf frontend/linux/build && $(MKDIR_P) frontend/linux/build && \
	for f in $(GUEST_SRC); do cp $(srcdir)/$$f frontend/linux/build/ || exit; done && \
	env -u MAKEFLAGS -u MFLAGS $(MAKE) -s -C $(GUEST_KERNEL) M=$(abs_builddir)/frontend/linux/build \
		HVDRV_INC=$(abs_srcdir)/include KCFLAGS=$(GUEST_KCFLAGS) modules && \
	strip -g -o $@ frontend/linux/build/hvdrv.ko
endif
clean-local: clean-kmod
clean-kmod:
	rm -rf frontend/linux/build frontend/linux/hvdrv.ko
