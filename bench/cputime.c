// SPDX-License-Identifier: GPL-2.0-only
/* cputime DOMID...: the CPU time that each domain has had, in microseconds, a line each (xenctrl.h, xc_domain_getinfo). */
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

static int print(xc_interface *xc, uint32_t domid)
{
	xc_dominfo_t info;

	if (xc_domain_getinfo(xc, domid, 1, &info) != 1 || info.domid != domid) {
		fprintf(stderr, "cputime: no domain %u\n", domid);
		return 1;
	}
	printf("%llu\n", (unsigned long long)info.cpu_time / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	int rc = 0;

	if (!xc) {
		fprintf(stderr, "cputime: Xen does not answer\n");
		return 1;
	}
	for (int i = 1; i < argc && !rc; i++)
		rc = print(xc, strtoul(argv[i], NULL, 10));
	xc_interface_close(xc);
	return rc;
}
