// SPDX-License-Identifier: GPL-2.0-only
/* hvdrv-keeper's list of queues. What is taken holds together: each page and each queue that is named is there. */
#include "fuzz.h"
#include "keeper/keeper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct kept_list all;
	struct hv_err e = { 0 };
	char *text = in_text(&in);
	int rc = keeper_list_parse(text, &all, &e);
	unsigned int n = 0;
	struct kept *k;

	MUST(!rc || rc == -e.code);
	TAILQ_FOREACH(k, &all, link) {
		MUST(!rc && ++n <= KEEP_DEVICES);
		MUST(k->pages.num_queues && k->pages.num_queues <= HVDRV_MAX_QUEUES && k->pages.num_pages <= KEEP_PAGES);
		MUST(k->pages.queue_pages >= 2 && k->pages.num_queues * k->pages.queue_pages <= k->pages.num_pages);
		for (uint32_t i = 0; i < k->pages.num_queues; i++)
			MUST(k->qid[i]);
	}
	keeper_list_free(&all);
	free(text);
	return 0;
}
