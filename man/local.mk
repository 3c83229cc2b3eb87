# SPDX-License-Identifier: GPL-2.0-only
# Manual pages, in mdoc(7): the source is the page. tests/meta/t-man checks them.
dist_man_MANS = man/hvdrv.1 man/hvdrv-repo.1 man/libhvdrv.3 man/hvdrv-image.5 man/hvdrv-device.5 man/hvdrv-os.5 \
	man/hvdrv-abi.7 man/hvdrv-xenstore.7 man/hvdrv-security.7 man/hvdrv-guest.7 man/hvdrvd.8 man/hvdrv-worker.8 man/hvdrv-watch.8 \
	man/hvdrv-share.8 man/hvdrv-keeper.8
if WITH_XL
dist_man_MANS += man/xl-hvdrv.1
endif
