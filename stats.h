/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a device counts. Each processor has counters of its own, so that counting
 * costs an instruction and no cache line travels for it; they are summed when
 * somebody asks. They are unsigned longs, as /proc/vmstat's are: one that is added
 * to in the middle of a sum is seen as it was or as it is, never torn, and no
 * lock or sequence count is wanted for that. Where a long has 32 bits, they and
 * their sum count modulo 2^32.
 */
#ifndef _SCULL_STATS_H
#define _SCULL_STATS_H

#include <linux/compiler.h>
#include <linux/irqflags.h> /* for this_cpu_add() where it is generic */
#include <linux/percpu.h>
#include <linux/types.h>

/**
 * struct scull_traffic - calls that move bytes one way
 * @calls:	those that gave no error
 * @bytes:	what they moved
 * @shorts:	how many of them moved less than they were asked to
 */
struct scull_traffic {
	unsigned long calls;
	unsigned long bytes;
	unsigned long shorts;
};

/**
 * struct scull_stats - what one processor counted for a device
 * @read:	out of the device
 * @write:	into the device
 * @again:	reads and writes that gave -EAGAIN
 * @sleeps:	how often a call went to sleep until others do something
 * @wakeups:	how often one that slept was woken because it can go on
 * @refused:	opens that failed, for whatever reason
 * @trims:	how often the device was emptied
 * @opens:	opens that succeeded
 * @closes:	last closes of an open file
 */
struct scull_stats {
	struct scull_traffic read;
	struct scull_traffic write;
	unsigned long again;
	unsigned long sleeps;
	unsigned long wakeups;
	unsigned long refused;
	unsigned long trims;
	unsigned long opens;
	unsigned long closes;
};

/**
 * scull_count - count an event
 * @counter:	one of the device's counters
 */
static __always_inline void scull_count(unsigned long __percpu *counter)
{
	this_cpu_inc(*counter);
}

void scull_count_odd(struct scull_stats __percpu *stats,
		     struct scull_traffic __percpu *traffic, ssize_t ret);

/**
 * scull_count_transfer - count a read or a write
 * @stats:	the device's counters
 * @traffic:	the member that is for this way
 * @count:	bytes it was asked to move
 * @ret:	what it gives: bytes or an error
 *
 * Mostly all bytes are moved, and then it costs little.
 */
static __always_inline void
scull_count_transfer(struct scull_stats __percpu *stats,
		     struct scull_traffic __percpu *traffic, size_t count,
		     ssize_t ret)
{
	if (likely(ret == (ssize_t)count)) {
		scull_count(&traffic->calls);
		this_cpu_add(traffic->bytes, ret);
	} else {
		scull_count_odd(stats, traffic, ret);
	}
}

/**
 * scull_stats_sum - sum a counter over all processors
 * @stats:	the device's counters
 * @offset:	of the counter in struct scull_stats
 *
 * Return: the sum, of which each part may be from another moment.
 */
unsigned long scull_stats_sum(const struct scull_stats __percpu *stats,
			      size_t offset);

#endif /* _SCULL_STATS_H */
