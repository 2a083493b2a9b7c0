/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What test_ioctl and the helper that calls ioctl() for it say to each other.
 * The helper is built for the machine's own word size and for 32 bits, hence
 * the fixed widths.
 */
#ifndef TESTS_IOCTLCALL_H
#define TESTS_IOCTLCALL_H

#include <stdint.h>

enum argument {
	ARG_VALUE,	/* the value itself */
	ARG_POINTER,	/* where the value is */
	ARG_READONLY,	/* the same, in memory that cannot be written */
	ARG_UNMAPPED,	/* where nothing is */
	ARG_NULL,
	ARG_KERNEL,	/* an address of the kernel's */
	ARG_EDGE,	/* the second half of the int is not there */
	/* Instead of an ioctl: what the helper itself becomes. */
	BECOME_NOBODY,
	BECOME_NAMESPACE_ROOT,
};

struct ioctl_request {
	uint32_t cmd;
	uint32_t argument;
	int32_t fd;
	int32_t value;
};

struct ioctl_reply {
	int32_t ret;
	int32_t err;
	int32_t memory;		/* where the pointer pointed to, afterwards */
};

#endif
