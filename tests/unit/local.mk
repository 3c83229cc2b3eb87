# SPDX-License-Identifier: GPL-2.0-only
# Unit and property tests: one program per module, Check's summary in each log. HV_SEED=N repeats a random one.
# rows of tables leave off what is 0
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JSON_CFLAGS) $(SODIUM_CFLAGS) -Wno-missing-field-initializers
UNIT_LIBS = libunit.la libplace.la libcore.la $(CHECK_LIBS) $(JSON_LIBS) $(SODIUM_LIBS)

check_LTLIBRARIES = libunit.la libbench.la libgen.la
libunit_la_SOURCES = tests/unit/unit.c tests/unit/unit.h tests/unit/guests.h tests/unit/img.c tests/unit/img.h \
	tests/unit/front.c tests/unit/front.h
libunit_la_CFLAGS = $(UNIT_CFLAGS)

# a worker in the process
UNIT_SERVE_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
UNIT_SERVE_LIBS = libbench.la libserve.la $(UNIT_LIBS)
libbench_la_SOURCES = tests/unit/bench.c tests/unit/bench.h tests/unit/served.c tests/unit/served.h
libbench_la_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
libbench_la_CFLAGS = $(UNIT_CFLAGS)

# the generator, and a guest's side that executes what it makes
UNIT_GEN_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/repo -I$(srcdir)/backend -DUNIT_SRCDIR='"$(abs_srcdir)"'
UNIT_GEN_CFLAGS = $(UNIT_CFLAGS) $(CONFIG_CFLAGS) $(ELF_CFLAGS)
UNIT_GEN_LIBS = libgen.la $(UNIT_SERVE_LIBS) $(CONFIG_LIBS) $(ELF_LIBS)
libgen_la_SOURCES = tests/unit/gen.c tests/unit/gen.h tests/unit/stub.c tests/unit/stub.h tests/unit/load.c tests/unit/load.h \
	tests/unit/ramdisk.c tests/unit/ramdisk.h tests/unit/drive.c tests/unit/drive.h repo/conf.c repo/desc.c repo/schema.c repo/skeleton.c repo/emit.c repo/build.c repo/elf.c repo/key.c
libgen_la_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
libgen_la_CFLAGS = $(UNIT_GEN_CFLAGS)

# the two longest first: the other CPU has the rest meanwhile
UNIT_TESTS = tests/unit/t-mutants tests/unit/t-programs tests/unit/t-str tests/unit/t-log tests/unit/t-file tests/unit/t-sock tests/unit/t-outbox tests/unit/t-hist tests/unit/t-params \
	tests/unit/t-check tests/unit/t-gate tests/unit/t-image tests/unit/t-trust tests/unit/t-store tests/unit/t-index tests/unit/t-floor tests/unit/t-fake tests/unit/t-keys tests/unit/t-record \
	tests/unit/t-place tests/unit/t-retarget tests/unit/t-swap tests/unit/t-journal tests/unit/t-blkif tests/unit/t-nvme tests/unit/t-virtq \
	tests/unit/t-desc tests/unit/t-target tests/unit/t-io tests/unit/t-command tests/unit/t-way tests/unit/t-namespace tests/unit/t-serve tests/unit/t-pool tests/unit/t-hold tests/unit/t-driver \
	tests/unit/t-nvme-driver tests/unit/t-virtq-driver tests/unit/t-carry tests/unit/t-repo tests/unit/t-os tests/unit/t-control tests/unit/t-switch \
	tests/unit/t-recover tests/unit/t-renew tests/unit/t-policy tests/unit/t-neighbour tests/unit/t-revoke tests/unit/t-refresh tests/unit/t-events tests/unit/t-stamp \
	tests/unit/t-sched tests/unit/t-arbiter tests/unit/t-turns tests/unit/t-share tests/unit/t-keeper \
	tests/unit/t-direct-driver tests/unit/t-guest-counts tests/unit/t-keepers
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)

tests_unit_t_keeper_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
tests_unit_t_keeper_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_keeper_LDADD = libkeeper.la $(UNIT_LIBS)
tests_unit_t_keepers_SOURCES = tests/unit/t-keepers.c backend/control/keepers.c
tests_unit_t_keepers_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
tests_unit_t_keepers_CFLAGS = $(UNIT_CFLAGS) $(EVENT_CFLAGS)
tests_unit_t_keepers_LDADD = $(UNIT_LIBS) $(EVENT_LIBS)
tests_unit_t_guest_counts_SOURCES = tests/unit/t-guest-counts.c backend/control/guest-counts.c
tests_unit_t_guest_counts_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
tests_unit_t_guest_counts_CFLAGS = $(UNIT_CFLAGS) $(EVENT_CFLAGS)
tests_unit_t_guest_counts_LDADD = $(UNIT_LIBS)
tests_unit_t_str_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_str_LDADD = $(UNIT_LIBS)
tests_unit_t_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_log_LDADD = $(UNIT_LIBS)
tests_unit_t_file_SOURCES = tests/unit/t-file.c tests/unit/steps.c tests/unit/steps.h
tests_unit_t_file_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_file_LDADD = $(UNIT_LIBS)
tests_unit_t_sock_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_sock_LDADD = $(UNIT_LIBS)
tests_unit_t_outbox_SOURCES = tests/unit/t-outbox.c backend/control/outbox.c
tests_unit_t_outbox_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
tests_unit_t_outbox_CFLAGS = $(UNIT_CFLAGS) $(EVENT_CFLAGS)
tests_unit_t_outbox_LDADD = $(UNIT_LIBS) $(EVENT_LIBS)
tests_unit_t_hist_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_hist_LDADD = $(UNIT_LIBS)
tests_unit_t_params_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_params_LDADD = $(UNIT_LIBS)
tests_unit_t_check_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_check_LDADD = $(UNIT_LIBS)
tests_unit_t_gate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_gate_LDADD = $(UNIT_LIBS)
tests_unit_t_image_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_image_LDADD = $(UNIT_LIBS)
tests_unit_t_trust_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_trust_LDADD = $(UNIT_LIBS)
tests_unit_t_store_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_store_LDADD = $(UNIT_LIBS)
# counts what is read
tests_unit_t_index_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_index_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open,--wrap=read,--wrap=scandir
tests_unit_t_index_LDADD = $(UNIT_LIBS)
tests_unit_t_floor_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_floor_LDADD = $(UNIT_LIBS)
tests_unit_t_fake_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_fake_LDADD = libhost_fake.la $(UNIT_LIBS)
tests_unit_t_keys_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_keys_LDADD = libhost_fake.la $(UNIT_LIBS)
tests_unit_t_record_SOURCES = tests/unit/t-record.c tests/unit/steps.c tests/unit/steps.h
tests_unit_t_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_record_LDADD = $(UNIT_LIBS)
tests_unit_t_place_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_place_LDADD = libhost_fake.la $(UNIT_LIBS)
tests_unit_t_retarget_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_retarget_LDADD = $(UNIT_LIBS)
tests_unit_t_policy_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_policy_LDADD = $(UNIT_LIBS)
tests_unit_t_journal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_journal_LDADD = libhost_fake.la $(UNIT_LIBS)
tests_unit_t_swap_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_swap_LDADD = libhost_fake.la $(UNIT_LIBS)
tests_unit_t_blkif_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_blkif_LDADD = $(UNIT_LIBS)
tests_unit_t_nvme_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_nvme_LDADD = $(UNIT_LIBS)
tests_unit_t_virtq_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_virtq_LDADD = $(UNIT_LIBS)
tests_unit_t_virtq_driver_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_virtq_driver_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_virtq_driver_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_desc_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_desc_LDADD = $(UNIT_LIBS)
tests_unit_t_target_SOURCES = tests/unit/t-target.c backend/target/target.c backend/target/disk.c backend/target/header.c backend/target/holder.c backend/target/namespace.c
tests_unit_t_target_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
tests_unit_t_target_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_target_LDADD = $(UNIT_LIBS)
tests_unit_t_io_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_io_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_io_LDADD = libserve.la $(UNIT_LIBS)
tests_unit_t_command_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_command_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_command_LDADD = libserve.la $(UNIT_LIBS)
tests_unit_t_way_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_way_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_way_LDADD = libserve.la $(UNIT_LIBS)
tests_unit_t_namespace_SOURCES = tests/unit/t-namespace.c backend/target/namespace.c
tests_unit_t_namespace_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_namespace_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_namespace_LDADD = $(UNIT_LIBS)
tests_unit_t_serve_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_serve_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_serve_LDADD = $(UNIT_SERVE_LIBS)
tests_unit_t_pool_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_pool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_pool_LDADD = $(UNIT_SERVE_LIBS)
tests_unit_t_hold_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_hold_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_hold_LDADD = $(UNIT_SERVE_LIBS)
tests_unit_t_driver_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_driver_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_driver_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_nvme_driver_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_nvme_driver_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_nvme_driver_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_direct_driver_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_direct_driver_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_direct_driver_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_mutants_SOURCES = tests/unit/t-mutants.c tests/unit/emu.c tests/unit/emu.h
tests_unit_t_mutants_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_mutants_CFLAGS = $(UNIT_GEN_CFLAGS) $(UNICORN_CFLAGS)
tests_unit_t_mutants_LDADD = $(UNIT_GEN_LIBS) $(UNICORN_LIBS)
tests_unit_t_programs_SOURCES = tests/unit/t-programs.c tests/unit/emu.c tests/unit/emu.h
tests_unit_t_programs_CFLAGS = $(UNIT_CFLAGS) $(UNICORN_CFLAGS) $(ZYDIS_CFLAGS)
tests_unit_t_programs_LDADD = $(UNIT_LIBS) $(UNICORN_LIBS) $(ZYDIS_LIBS)
tests_unit_t_carry_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_carry_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_carry_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_repo_CPPFLAGS = $(UNIT_GEN_CPPFLAGS)
tests_unit_t_repo_CFLAGS = $(UNIT_GEN_CFLAGS)
tests_unit_t_repo_LDADD = $(UNIT_GEN_LIBS)
tests_unit_t_sched_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_sched_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_sched_LDADD = libshare.la $(UNIT_LIBS)
tests_unit_t_arbiter_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_arbiter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_arbiter_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_arbiter_LDADD = libshare.la $(UNIT_LIBS)
tests_unit_t_turns_CPPFLAGS = $(UNIT_SERVE_CPPFLAGS)
tests_unit_t_turns_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_turns_LDADD = libshare.la $(UNIT_SERVE_LIBS)
tests_unit_t_share_SOURCES = tests/unit/t-share.c $(UNIT_CONTROL_SOURCES)
tests_unit_t_share_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_share_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_share_LDADD = $(UNIT_CONTROL_LIBS)
# hvdrvd in the process, without its workers
UNIT_CONTROL_SOURCES = tests/unit/control.c tests/unit/control.h backend/control/scan.c backend/control/device.c \
	backend/control/connect.c backend/control/os.c backend/guest-os/kernel.c backend/guest-os/toolstack.c backend/control/serve.c backend/control/path.c backend/control/retarget.c \
	backend/wire.c backend/control/recover.c backend/control/watch.c backend/control/conflict.c backend/control/policy.c backend/control/direct.c backend/control/direct-check.c backend/control/keepers.c backend/control/revoke.c backend/control/refresh.c backend/control/note.c \
	backend/control/show.c backend/control/counters.c backend/control/guest-counts.c backend/control/events.c \
	backend/control/generate.c backend/control/signer.c backend/control/share.c \
	backend/target/target.c backend/target/disk.c backend/target/header.c backend/target/holder.c backend/target/namespace.c backend/target/nvme.c
UNIT_CONTROL_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/backend
UNIT_CONTROL_CFLAGS = $(UNIT_CFLAGS) $(EVENT_CFLAGS)
UNIT_CONTROL_LIBS = libhost_fake.la $(UNIT_LIBS) $(EVENT_LIBS)
tests_unit_t_os_SOURCES = tests/unit/t-os.c $(UNIT_CONTROL_SOURCES)
tests_unit_t_os_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_os_CFLAGS = $(UNIT_CONTROL_CFLAGS) $(JSON_CFLAGS)
tests_unit_t_os_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_control_SOURCES = tests/unit/t-control.c $(UNIT_CONTROL_SOURCES)
tests_unit_t_control_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_control_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_control_LDADD = $(UNIT_CONTROL_LIBS)
# a test's clock: seconds pass when it says so
UNIT_SWITCH_SOURCES = tests/unit/switch.c tests/unit/switch.h $(UNIT_CONTROL_SOURCES)
UNIT_SWITCH_WRAP = $(AM_LDFLAGS) -Wl,--wrap=hv_now_ns
tests_unit_t_switch_SOURCES = tests/unit/t-switch.c $(UNIT_SWITCH_SOURCES)
tests_unit_t_switch_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_switch_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_switch_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_switch_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_renew_SOURCES = tests/unit/t-renew.c $(UNIT_SWITCH_SOURCES)
tests_unit_t_renew_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_renew_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_renew_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_renew_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_recover_SOURCES = tests/unit/t-recover.c $(UNIT_SWITCH_SOURCES)
tests_unit_t_recover_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_recover_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_recover_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_recover_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_neighbour_SOURCES = tests/unit/t-neighbour.c tests/unit/beside.c tests/unit/beside.h backend/control/dryrun.c $(UNIT_SWITCH_SOURCES)
tests_unit_t_neighbour_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_neighbour_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_neighbour_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_neighbour_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_refresh_SOURCES = tests/unit/t-refresh.c $(UNIT_SWITCH_SOURCES)
tests_unit_t_refresh_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_refresh_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_refresh_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_refresh_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_revoke_SOURCES = tests/unit/t-revoke.c tests/unit/beside.c tests/unit/beside.h $(UNIT_SWITCH_SOURCES)
tests_unit_t_revoke_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_revoke_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_revoke_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_revoke_LDADD = $(UNIT_CONTROL_LIBS)
tests_unit_t_events_SOURCES = tests/unit/t-events.c tests/unit/beside.c tests/unit/beside.h $(UNIT_SWITCH_SOURCES)
tests_unit_t_events_CPPFLAGS = $(UNIT_CONTROL_CPPFLAGS)
tests_unit_t_events_CFLAGS = $(UNIT_CONTROL_CFLAGS)
tests_unit_t_events_LDFLAGS = $(UNIT_SWITCH_WRAP)
tests_unit_t_events_LDADD = $(UNIT_CONTROL_LIBS)

# the lab's checker of data, which must itself tell right from wrong
tests_unit_t_stamp_SOURCES = tests/unit/t-stamp.c tests/lab/stamp/model.c tests/lab/stamp/stamp.h
tests_unit_t_stamp_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/lab/stamp
tests_unit_t_stamp_CFLAGS = $(UNIT_CFLAGS)
tests_unit_t_stamp_LDADD = $(UNIT_LIBS)

# `make check`, then one line for all of it; its status is that of the tests
check-summary:
	@$(MAKE) $(AM_MAKEFLAGS) check; st=$$?; $(srcdir)/tests/unit/summary $(TEST_LOGS) && exit $$st
EXTRA_DIST += tests/unit/summary
