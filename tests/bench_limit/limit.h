/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * How the benchmark tells /dev/bench_limit its size.
 */
#ifndef _BENCH_LIMIT_H
#define _BENCH_LIMIT_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The argument points to the number of bytes; what was held is gone. */
#define BENCH_LIMIT_RESIZE	_IOW('b', 0, __u64)

#endif /* _BENCH_LIMIT_H */
