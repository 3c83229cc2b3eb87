// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of queues, as text:
 *   hvdrv-keeper 1
 *   DOMID ID QUEUES QUEUE-PAGES PAGES QID... REF...        a line per device
 *   end
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "keeper/keeper.h"
#include "util/file.h"

#define LIST_VERSION 1u
#define LIST_MAX (1u << 20)
#define LEFT_MAX 32752u		/* domids end below */

/* A number up to max, with what ends it: a space, or the line's end. */
static bool number(const char **s, uint32_t max, char ends, uint32_t *v)
{
	uint64_t n = 0;
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > max)
			return false;
	}
	if (*p != ends)
		return false;
	*s = p + 1;
	*v = n;
	return true;
}

static bool parse_head(const char **s, struct kept *k)
{
	struct keep_add *a = &k->pages;

	return number(s, LEFT_MAX, ' ', &k->dev.domid) && number(s, UINT16_MAX, ' ', &k->dev.id) &&
	       number(s, HVDRV_MAX_QUEUES, ' ', &a->num_queues) && a->num_queues &&
	       number(s, HVDRV_MAX_QUEUE_PAGES, ' ', &a->queue_pages) && a->queue_pages >= 2 &&
	       number(s, KEEP_PAGES, ' ', &a->num_pages) && a->num_pages >= a->num_queues * a->queue_pages;
}

static bool parse_device(const char **s, struct kept *k)
{
	if (!parse_head(s, k))
		return false;
	for (uint32_t i = 0; i < k->pages.num_queues; i++)
		if (!number(s, UINT16_MAX, ' ', &k->qid[i]) || !k->qid[i])
			return false;
	for (uint32_t i = 0; i < k->pages.num_pages; i++)
		if (!number(s, UINT32_MAX, i + 1 < k->pages.num_pages ? ' ' : '\n', &k->pages.ref[i]))
			return false;
	return true;
}

static int parse_devices(const char *s, struct kept_list *all, struct hv_err *e)
{
	unsigned int n = 0;

	while (strcmp(s, "end\n")) {
		struct kept *k = n++ < KEEP_DEVICES ? calloc(1, sizeof(*k)) : NULL;

		if (!k)
			return n > KEEP_DEVICES ? hv_err(e, EINVAL, "more than %u devices", KEEP_DEVICES) : hv_err(e, ENOMEM, "no memory");
		TAILQ_INSERT_TAIL(all, k, link);
		if (!parse_device(&s, k))
			return hv_err(e, EINVAL, "device %u of the list is not one", n);
	}
	return 0;
}

int keeper_list_parse(const char *text, struct kept_list *all, struct hv_err *e)
{
	static const char head[] = "hvdrv-keeper ";
	uint32_t version;
	int rc;

	TAILQ_INIT(all);
	if (strncmp(text, head, strlen(head)))
		return hv_err(e, EINVAL, "it is no list of queues");
	text += strlen(head);
	if (!number(&text, UINT32_MAX, '\n', &version))
		return hv_err(e, EINVAL, "it has no version");
	if (version != LIST_VERSION)
		return hv_err(e, ENOTSUP, "it has version %u, this hvdrv-keeper knows %u", version, LIST_VERSION);
	rc = parse_devices(text, all, e);
	if (rc)
		keeper_list_free(all);
	return rc;
}

int keeper_list_read(const char *file, struct kept_list *all, struct hv_err *e)
{
	void *text;
	size_t len;
	int rc = hv_file_read(file, LIST_MAX, &text, &len);

	TAILQ_INIT(all);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return hv_err(e, -rc, "%s: %s", file, strerror(-rc));
	rc = strlen(text) == len ? keeper_list_parse(text, all, e) : hv_err(e, EINVAL, "it is no text");
	free(text);
	return rc ? hv_err_in(e, "%s", file) : 0;
}

static void print_device(FILE *f, const struct kept *k)
{
	fprintf(f, "%u %u %u %u %u", k->dev.domid, k->dev.id, k->pages.num_queues, k->pages.queue_pages, k->pages.num_pages);
	for (uint32_t i = 0; i < k->pages.num_queues; i++)
		fprintf(f, " %u", k->qid[i]);
	for (uint32_t i = 0; i < k->pages.num_pages; i++)
		fprintf(f, " %u", k->pages.ref[i]);
	fputc('\n', f);
}

int keeper_list_write(const char *file, const struct kept_list *all)
{
	const struct kept *k;
	char *text = NULL;
	size_t len;
	int rc;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	fprintf(f, "hvdrv-keeper %u\n", LIST_VERSION);
	TAILQ_FOREACH(k, all, link)
		print_device(f, k);
	fputs("end\n", f);
	rc = fclose(f) ? -ENOMEM : hv_file_write(file, text, len, 0600);
	free(text);
	return rc;
}

void keeper_list_free(struct kept_list *all)
{
	struct kept *k;

	while ((k = TAILQ_FIRST(all))) {
		TAILQ_REMOVE(all, k, link);
		free(k);
	}
}
