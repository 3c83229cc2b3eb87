/* SPDX-License-Identifier: LGPL-2.1-only */
/* Whole files: read with a limit, written so that a crash leaves the old or the new one. */
#ifndef HV_UTIL_FILE_H
#define HV_UTIL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads PATH whole. *data gets NUL-terminated memory that the caller frees.
 * 0, -EFBIG when it is larger than max, or -errno.
 */
int hv_file_read(const char *path, size_t max, void **data, size_t *len);

/* The first line of PATH, such as a file of sysfs has, without its newline, cut to size. 0, -EPROTO when there is none, or -errno. */
int hv_file_line(const char *path, char *text, size_t size);

/* The number at the begin of that line, decimal or hexadecimal with 0x. 0, -EPROTO when there is none, or -errno. */
int hv_file_number(const char *path, uint64_t *v);

/* Writes PATH.tmp, syncs, renames over PATH, syncs the folder. 0 or -errno; on error PATH is as it was. */
int hv_file_write(const char *path, const void *data, size_t len, mode_t mode);

/* Makes PATH and its parents. 0 or -errno. */
int hv_mkdirs(const char *path, mode_t mode);

/* write() until all is out. 0 or -errno. */
int hv_write_all(int fd, const void *data, size_t len);

#endif
