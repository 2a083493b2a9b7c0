// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: what of them is not worth having inline.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>

#include "stats.h"

/**
 * scull_count_odd - count a read or a write that did not move all
 * @stats:	the device's counters
 * @traffic:	the member that is for this way
 * @ret:	what it gives: bytes or an error
 */
void scull_count_odd(struct scull_stats __percpu *stats,
		     struct scull_traffic __percpu *traffic, ssize_t ret)
{
	if (ret >= 0) {
		scull_count(&traffic->calls);
		this_cpu_add(traffic->bytes, ret);
		scull_count(&traffic->shorts);
	} else if (ret == -EAGAIN) {
		scull_count(&stats->again);
	}
}

unsigned long scull_stats_sum(const struct scull_stats __percpu *stats,
			      size_t offset)
{
	unsigned long sum = 0;
	const void *counter;
	int cpu;

	for_each_possible_cpu(cpu) {
		counter = (const void *)per_cpu_ptr(stats, cpu) + offset;
		/* Some processors count by a plain load and a plain store. */
		sum += data_race(READ_ONCE(*(const unsigned long *)counter));
	}
	return sum;
}
