// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring. The kernel lets nobody send an NVMe command who has not CAP_SYS_ADMIN, and asks that of the credentials of the request:
 * those of who submits it, or of a "personality" that was registered when somebody had it. So a worker makes its ring while it
 * is root, with a personality of this one capability. In any case the ring is limited to what the engine does before it is used:
 * later, as nobody, the worker can add neither operations nor personalities. What it can reach is what the process has open.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host-io/ring.h"
#include "util/depriv.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* liburing 2.3 declares the functions for restrictions and for enabling, and does not have them. */
static int do_register(struct io_uring *r, unsigned int what, const void *arg, unsigned int n)
{
	return syscall(SYS_io_uring_register, r->ring_fd, what, arg, n) < 0 ? -errno : 0;
}

static int restrict_to_engine(struct io_uring *r)
{
	static const uint8_t ops[] = {
		IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_FADVISE, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_URING_CMD,
		IORING_OP_TIMEOUT,
	};
	struct io_uring_restriction res[N(ops) + 2] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_CQE_SKIP_SUCCESS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_BUFFERS },
	};

	for (size_t i = 0; i < N(ops); i++)
		res[i + 2] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = ops[i] };
	return do_register(r, IORING_REGISTER_RESTRICTIONS, res, N(res));
}

static int add_personality(struct io_uring *r)
{
	int rc = hv_cap_only(CAP_SYS_ADMIN), id;

	if (rc)
		return rc;
	id = io_uring_register_personality(r);
	rc = hv_cap_only(-1);
	return rc ? rc : id;
}

/* Commands are longer than other requests, and so are their completions. */
static int open_limited(struct io_uring *r, unsigned int depth, unsigned int flags, bool commands, int *personality)
{
	int rc = io_uring_queue_init(depth, r, flags | IORING_SETUP_R_DISABLED |
				     (commands ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0));

	if (rc)
		return rc;
	*personality = commands ? add_personality(r) : 0;
	rc = *personality < 0 ? *personality : restrict_to_engine(r);
	if (!rc) {
		io_uring_register_ring_fd(r);	/* saves a look-up per call; failing does no harm */
		rc = do_register(r, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	}
	if (rc)
		io_uring_queue_exit(r);
	return rc;
}

int ring_open(struct io_uring *r, unsigned int depth, int *personality)
{
	/* completions only when we ask for them: no interrupts between (kernels before 6.1 do without) */
	const unsigned int asked = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

	if (!open_limited(r, depth, asked, true, personality) || !open_limited(r, depth, 0, true, personality) ||
	    !open_limited(r, depth, asked, false, personality))
		return 0;
	return open_limited(r, depth, 0, false, personality);
}
