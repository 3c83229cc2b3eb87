// SPDX-License-Identifier: GPL-2.0-only
/* A switch is told: its record in xenstore (hvdrv-xenstore(7)), the counters, events, the log. */
#include <stdio.h>
#include "daemon.h"

struct keyed {
	const char *key;
	const char *text;
	uint64_t number;
};

#define TEXT(k, v) { (k), (v), 0 }
#define NUMBER(k, v) { (k), NULL, (v) }

struct record {
	const char *dir;
	struct keyed keys[16];
	int n;
};

static int write_record(struct hv_host *h, hv_txn x, void *arg)
{
	const struct record *r = arg;
	char num[24];
	int rc = 0;

	for (int i = 0; !rc && i < r->n; i++) {
		snprintf(num, sizeof(num), "%llu", (unsigned long long)r->keys[i].number);
		rc = hv_writef(h, x, r->keys[i].text ? r->keys[i].text : num, "%s/retarget/%s", r->dir, r->keys[i].key);
	}
	return rc;
}

void note_begin(struct dev *v, const struct switch_note *n)
{
	struct record r = { v->at.admin, {
		NUMBER("seq", n->seq), TEXT("state", "running"), TEXT("from", n->from), TEXT("to", n->to), TEXT("who", n->who),
		TEXT("result", "running"), TEXT("reason", "")
	}, 7 };

	count_switch_begin(v);
	event_switch_begin(v, n);
	hv_transact(v->dom->d->host, write_record, &r);
}

void note_end(struct dev *v, const struct switch_note *n, enum hv_level bad)
{
	struct record r = { v->at.admin, {
		TEXT("state", "done"), TEXT("result", hv_retarget_result_name(n->result)), TEXT("reason", n->reason),
		NUMBER("freeze-ns", n->freeze_ns), NUMBER("stall-ns", n->stall_ns),
		NUMBER("carried", n->carried[0] + n->carried[1] + n->carried[2]), NUMBER("carried-ready", n->carried[0]),
		NUMBER("carried-begun", n->carried[1]), NUMBER("carried-done", n->carried[2]),
		NUMBER("carried-read", n->ops[HVDRV_OP_READ]), NUMBER("carried-write", n->ops[HVDRV_OP_WRITE]),
		NUMBER("carried-flush", n->ops[HVDRV_OP_FLUSH]), NUMBER("carried-discard", n->ops[HVDRV_OP_DISCARD]),
		NUMBER("carried-write-zeroes", n->ops[HVDRV_OP_WRITE_ZEROES]), TEXT("signer", n->signer->name), TEXT("key", n->signer->key)
	}, 16 };
	struct hv_about a = dev_about(v);

	count_switch(v, n);
	hv_log(n->result == HV_RT_COMMITTED ? HV_INFO : bad, &a,
	       "switch %llu from %s to %s for %s: %s%s%s; freeze %lld us, stall %lld us, carried %u ready, %u begun, %u done",
	       (unsigned long long)n->seq, n->from, n->to, n->who, hv_retarget_result_name(n->result), *n->reason ? ": " : "",
	       n->reason, (long long)n->freeze_ns / 1000, (long long)n->stall_ns / 1000, n->carried[0], n->carried[1], n->carried[2]);
	hv_transact(v->dom->d->host, write_record, &r);
	event_switch_end(v, n);
}
