// SPDX-License-Identifier: GPL-2.0
/*
 * Calls ioctl() as its standard input asks and answers on standard output:
 * see ioctlcall.h. It needs nothing but libc, so that a 32-bit one can be
 * built where no 32-bit libcheck is to be had.
 */
#define _GNU_SOURCE
#include "ioctlcall.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static char *pages;
static long page;

static int become(uint32_t whom)
{
	if (whom == BECOME_NAMESPACE_ROOT)
		return unshare(CLONE_NEWUSER);
	return setresgid(65534, 65534, 65534) ?:
	       setresuid(65534, 65534, 65534);
}

static int32_t *place(uint32_t argument)
{
	switch (argument) {
	case ARG_READONLY:
		return (int32_t *)(pages + page);
	case ARG_UNMAPPED:
		return (int32_t *)(pages + 2 * page);
	case ARG_KERNEL:
		return (int32_t *)-4096L;
	case ARG_EDGE:
		return (int32_t *)(pages + 2 * page - 2);
	case ARG_NULL:
		return NULL;
	default:
		return (int32_t *)pages;
	}
}

static void call(const struct ioctl_request *req, struct ioctl_reply *rep)
{
	int32_t *at = place(req->argument);

	/* Two pages that can be read, the first written too, then nothing. */
	mprotect(pages, 2 * page, PROT_READ | PROT_WRITE);
	memcpy(pages, &req->value, sizeof(req->value));
	memcpy(pages + page, &req->value, sizeof(req->value));
	mprotect(pages + page, page, PROT_READ);
	mprotect(pages + 2 * page, page, PROT_NONE);

	if (req->argument >= BECOME_NOBODY)
		rep->ret = become(req->argument);
	else if (req->argument == ARG_VALUE)
		rep->ret = ioctl(req->fd, req->cmd, (long)req->value);
	else
		rep->ret = ioctl(req->fd, req->cmd, at);
	rep->err = rep->ret == -1 ? errno : 0;
	memcpy(&rep->memory, req->argument == ARG_READONLY ? pages + page :
	       pages, sizeof(rep->memory));
}

int main(void)
{
	struct ioctl_request req;
	struct ioctl_reply rep;

	page = sysconf(_SC_PAGESIZE);
	pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return 1;
	while (read(0, &req, sizeof(req)) == sizeof(req)) {
		call(&req, &rep);
		if (write(1, &rep, sizeof(rep)) != sizeof(rep))
			return 1;
	}
	return 0;
}
