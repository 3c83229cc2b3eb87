// SPDX-License-Identifier: GPL-2.0-only
/* Who has signed the driver that is placed, and whether he may still. The keys may change at any time: they are read anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/trust.h"
#include "daemon.h"

void signer_of(const struct daemon *d, const struct hv_image_header *h, struct signer *s)
{
	struct hv_keyring ring;
	int i;

	memset(s, 0, sizeof(*s));
	hv_key_fingerprint(h->key, s->key);
	if (hv_keyring_load(d->opt.keys, &ring, NULL))
		return;
	i = hv_keyring_find(&ring, h->key, 0);
	if (i >= 0)
		snprintf(s->name, sizeof(s->name), "%s", ring.key[i].name);
	hv_keyring_free(&ring);
}

int signer_good(const struct daemon *d, const struct signer *s, struct hv_err *e)
{
	struct hv_keyring ring;
	bool known = false;
	char key[33];
	int rc = hv_keyring_load(d->opt.keys, &ring, e);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < ring.n; i++) {
		hv_key_fingerprint(ring.key[i].pub, key);
		if (strcmp(key, s->key))
			continue;
		known = true;
		rc = hv_key_good(&ring.key[i], ring.now, ring.key[i].vendor, e);
	}
	hv_keyring_free(&ring);
	return rc || known ? rc : hv_err(e, EPERM, "its key is not trusted any more");
}

int signer_publish(struct hv_host *h, hv_txn t, const char *back, const struct signer *s)
{
	int rc = hv_writef(h, t, s->name, "%s/driver/signer", back);

	return rc ? rc : hv_writef(h, t, s->key, "%s/driver/key", back);
}

static void take(const struct dev *v, const char *key, char *to, size_t size)
{
	char *s = hv_readf(v->dom->d->host, 0, "%s/driver/%s", v->at.back, key);

	snprintf(to, size, "%s", s ? s : "");
	free(s);
}

void signer_take_up(struct dev *v)
{
	take(v, "signer", v->signer.name, sizeof(v->signer.name));
	take(v, "key", v->signer.key, sizeof(v->signer.key));
}
