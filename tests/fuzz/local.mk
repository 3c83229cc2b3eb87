# SPDX-License-Identifier: GPL-2.0-only
# Fuzzers, one per parser. --enable-fuzz: driven by libFuzzer, `make fuzz FUZZ_SECONDS=60`. Else: run over their seeds.
FUZZERS = tests/fuzz/fuzz-params tests/fuzz/fuzz-image tests/fuzz/fuzz-record tests/fuzz/fuzz-desc tests/fuzz/fuzz-elf \
	tests/fuzz/fuzz-blkif tests/fuzz/fuzz-nvme tests/fuzz/fuzz-virtq tests/fuzz/fuzz-desc-guest tests/fuzz/fuzz-check tests/fuzz/fuzz-store tests/fuzz/fuzz-worker tests/fuzz/fuzz-keeper \
	tests/fuzz/fuzz-kernel tests/fuzz/fuzz-index
if WITH_XL
FUZZERS += tests/fuzz/fuzz-guestcfg
endif
check_PROGRAMS += $(FUZZERS)
TESTS += tests/fuzz/t-seeds

FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend -I$(srcdir)/repo -I$(srcdir)/xl-plugin -I$(srcdir)/tests/fuzz \
	-DFUZZ_SKELETONS='"$(abs_srcdir)/frontend/driver"' -DFUZZ_OS='"$(abs_srcdir)/repo/oses/linux-x86_64.inc"'
FUZZ_CFLAGS = $(AM_CFLAGS) -Wno-missing-prototypes $(SODIUM_CFLAGS) $(ZYDIS_CFLAGS) $(JSON_CFLAGS) $(CONFIG_CFLAGS)
if ENABLE_FUZZ
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_MAIN = tests/fuzz/fuzz.h
else
FUZZ_LINK = $(AM_LDFLAGS)
FUZZ_MAIN = tests/fuzz/replay.c tests/fuzz/fuzz.h
endif

tests_fuzz_fuzz_params_SOURCES = tests/fuzz/fuzz-params.c $(FUZZ_MAIN)
tests_fuzz_fuzz_params_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_params_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_params_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_params_LDADD = libcore.la
tests_fuzz_fuzz_keeper_SOURCES = tests/fuzz/fuzz-keeper.c $(FUZZ_MAIN)
tests_fuzz_fuzz_keeper_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_keeper_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_keeper_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_keeper_LDADD = libkeeper.la libcore.la
tests_fuzz_fuzz_kernel_SOURCES = tests/fuzz/fuzz-kernel.c backend/guest-os/kernel.c $(FUZZ_MAIN)
tests_fuzz_fuzz_kernel_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_kernel_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_kernel_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_kernel_LDADD = libcore.la
tests_fuzz_fuzz_image_SOURCES = tests/fuzz/fuzz-image.c $(FUZZ_MAIN)
tests_fuzz_fuzz_image_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_image_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_image_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_image_LDADD = libplace.la
tests_fuzz_fuzz_index_SOURCES = tests/fuzz/fuzz-index.c $(FUZZ_MAIN)
tests_fuzz_fuzz_index_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_index_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_index_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_index_LDADD = libplace.la
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz-record.c $(FUZZ_MAIN)
tests_fuzz_fuzz_record_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_record_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_record_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_record_LDADD = libcore.la
tests_fuzz_fuzz_desc_SOURCES = tests/fuzz/fuzz-desc.c repo/conf.c repo/desc.c repo/schema.c repo/skeleton.c repo/emit.c $(FUZZ_MAIN)
tests_fuzz_fuzz_desc_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_desc_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_desc_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_desc_LDADD = libplace.la libcore.la $(CONFIG_LIBS)
tests_fuzz_fuzz_elf_SOURCES = tests/fuzz/fuzz-elf.c repo/elf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_elf_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_elf_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_elf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_elf_LDADD = libplace.la libcore.la $(ELF_LIBS)
tests_fuzz_fuzz_blkif_SOURCES = tests/fuzz/fuzz-blkif.c tests/fuzz/blk.c tests/fuzz/blk.h $(FUZZ_MAIN)
tests_fuzz_fuzz_blkif_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_blkif_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_blkif_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_blkif_LDADD = libplace.la libcore.la
tests_fuzz_fuzz_nvme_SOURCES = tests/fuzz/fuzz-nvme.c tests/fuzz/blk.c tests/fuzz/blk.h $(FUZZ_MAIN)
tests_fuzz_fuzz_nvme_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_nvme_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_nvme_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_nvme_LDADD = libplace.la libcore.la
tests_fuzz_fuzz_virtq_SOURCES = tests/fuzz/fuzz-virtq.c tests/fuzz/blk.c tests/fuzz/blk.h $(FUZZ_MAIN)
tests_fuzz_fuzz_virtq_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_virtq_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_virtq_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_virtq_LDADD = libplace.la libcore.la
tests_fuzz_fuzz_desc_guest_SOURCES = tests/fuzz/fuzz-desc-guest.c $(FUZZ_MAIN)
tests_fuzz_fuzz_desc_guest_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_desc_guest_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_desc_guest_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_desc_guest_LDADD = libplace.la libcore.la
tests_fuzz_fuzz_check_SOURCES = tests/fuzz/fuzz-check.c $(FUZZ_MAIN)
tests_fuzz_fuzz_check_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_check_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_check_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_check_LDADD = libplace.la libcore.la $(ZYDIS_LIBS)
tests_fuzz_fuzz_store_SOURCES = tests/fuzz/fuzz-store.c $(FUZZ_MAIN)
tests_fuzz_fuzz_store_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_store_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_store_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_store_LDADD = libplace.la libcore.la
tests_fuzz_fuzz_worker_SOURCES = tests/fuzz/fuzz-worker.c $(FUZZ_MAIN)
tests_fuzz_fuzz_worker_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_worker_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_worker_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_worker_LDADD = libserve.la libworkring.la libcore.la
if WITH_XL
tests_fuzz_fuzz_guestcfg_SOURCES = tests/fuzz/fuzz-guestcfg.c $(FUZZ_MAIN)
tests_fuzz_fuzz_guestcfg_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_fuzz_guestcfg_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_guestcfg_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_guestcfg_LDADD = libguestcfg.la libcore.la
endif

EXTRA_DIST += tests/lib/t.sh tests/fuzz/t-seeds tests/fuzz/seeds.py tests/fuzz/corpus

# `make fuzz FUZZ_SECONDS=N`: each for N seconds; what it finds is in fuzz-found/, what it learned in fuzz-corpus/
FUZZ_SECONDS = 60
.PHONY: fuzz
fuzz: $(FUZZERS)
if ENABLE_FUZZ
	$(srcdir)/tests/fuzz/run-all $(srcdir) $(FUZZ_SECONDS) $(FUZZERS)
else
	@echo "make fuzz needs ./configure --enable-fuzz CC=clang" >&2; exit 1
endif
EXTRA_DIST += tests/fuzz/run-all
