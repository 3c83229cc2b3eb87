/* SPDX-License-Identifier: GPL-2.0-only */
/* A fake host with two guests, seen by dom0 and by each of them. */
#ifndef GUESTS_H
#define GUESTS_H

#include "host/fake/fake.h"

struct world {
	struct fake *f;
	struct hv_host *h, *g, *other;	/* dom0, guest 5, guest 6 */
};

static inline struct world world(void)
{
	struct world w = { .f = fake_new() };

	fake_domain_add(w.f, 5, "web1");
	fake_domain_add(w.f, 6, "web2");
	w.h = fake_open(w.f);
	w.g = fake_open_guest(w.f, 5);
	w.other = fake_open_guest(w.f, 6);
	return w;
}

#endif
