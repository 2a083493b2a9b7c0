// SPDX-License-Identifier: GPL-2.0
/*
 * The index arithmetic of the pipes' rings, against plain counters that never
 * start over: an index is its counter modulo twice the capacity.
 */
#include <kunit/test.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "../../ring.h"

/* Up to here every capacity is tried, and up to the second with all indices. */
#define RING_TEST_SMALL 300
#define RING_TEST_TINY 64

/*
 * The default, the book's, a page, powers of two and their neighbours, the most
 * that a pipe may have, and the most for which no sum passes UINT_MAX.
 */
static const unsigned int ring_test_large[] = {
	4000, 4095, 4096, 4097, 65535, 65536, 1 << 20, (16 << 20) - 1, 16 << 20,
	UINT_MAX / 3,
};

/* What is left of a counter that starts over at @span. */
static u32 ring_test_left(u64 counter, u32 span)
{
	u32 left;

	div_u64_rem(counter, span, &left);
	return left;
}

/* Calls @check for every capacity; one that fails ends the case. */
static void ring_test_each(struct kunit *test,
			   void (*check)(struct kunit *test,
					 unsigned int capacity))
{
	unsigned int i;

	for (i = 1; i <= RING_TEST_SMALL; i++) {
		check(test, i);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(ring_test_large); i++)
		check(test, ring_test_large[i]);
}

/*
 * The @nth of the numbers from 0 to @top that are worth a try: all of them while
 * the capacity is tiny, else those at both ends, in the middle and at the
 * capacity, where offsets start over. False if there are no more.
 */
static bool ring_test_nth(unsigned int capacity, unsigned int top,
			  unsigned int nth, unsigned int *value)
{
	const unsigned int some[] = {
		0, 1, 2, capacity / 2, capacity - 2, capacity - 1, capacity,
		capacity + 1, capacity + capacity / 2, top - 2, top - 1, top,
	};

	if (capacity <= RING_TEST_TINY) {
		*value = nth;
		return nth <= top;
	}
	if (nth >= ARRAY_SIZE(some))
		return false;
	*value = min(some[nth], top);
	return true;
}

static void ring_test_used_of(struct kunit *test, unsigned int capacity)
{
	unsigned int top = 2 * capacity - 1, head, tail, i, j;

	for (i = 0; ring_test_nth(capacity, top, i, &head); i++) {
		for (j = 0; ring_test_nth(capacity, top, j, &tail); j++) {
			u32 want = ring_test_left((u64)head + 2 * capacity - tail,
						  2 * capacity);

			KUNIT_ASSERT_EQ_MSG(test,
					    scull_ring_used(capacity, head, tail),
					    want, "capacity %u, head %u, tail %u",
					    capacity, head, tail);
		}
	}
}

/* Whatever two indices are, used is the way from one to the other. */
static void ring_test_used(struct kunit *test)
{
	ring_test_each(test, ring_test_used_of);
}

static void ring_test_advance_of(struct kunit *test, unsigned int capacity)
{
	unsigned int top = 2 * capacity - 1, index, len, next, i, j;

	for (i = 0; ring_test_nth(capacity, top, i, &index); i++) {
		for (j = 0; ring_test_nth(capacity, capacity, j, &len); j++) {
			u32 want = ring_test_left((u64)index + len,
						  2 * capacity);

			next = scull_ring_advance(capacity, index, len);
			KUNIT_ASSERT_EQ_MSG(test, next, want,
					    "capacity %u, index %u, len %u",
					    capacity, index, len);
			KUNIT_ASSERT_EQ_MSG(test,
					    scull_ring_used(capacity, next, index),
					    len, "capacity %u, index %u",
					    capacity, index);
		}
	}
}

/* An index moves as far as it is told, and starts over at twice the capacity. */
static void ring_test_advance(struct kunit *test)
{
	ring_test_each(test, ring_test_advance_of);
}

static void ring_test_offset_of(struct kunit *test, unsigned int capacity)
{
	unsigned int top = 2 * capacity - 1, index, i;

	for (i = 0; ring_test_nth(capacity, top, i, &index); i++)
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_offset(capacity, index),
				    index % capacity, "capacity %u, index %u",
				    capacity, index);
}

/* Every index points into the buffer, and two a capacity apart at one byte. */
static void ring_test_offset(struct kunit *test)
{
	ring_test_each(test, ring_test_offset_of);
}

static void ring_test_full_of(struct kunit *test, unsigned int capacity)
{
	unsigned int top = 2 * capacity - 1, tail, head, i;

	for (i = 0; ring_test_nth(capacity, top, i, &tail); i++) {
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_used(capacity, tail, tail),
				    0, "empty, capacity %u, tail %u", capacity,
				    tail);
		head = scull_ring_advance(capacity, tail, capacity);
		KUNIT_ASSERT_NE_MSG(test, head, tail,
				    "full, capacity %u, tail %u", capacity,
				    tail);
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_used(capacity, head, tail),
				    capacity, "full, capacity %u, tail %u",
				    capacity, tail);
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_offset(capacity, head),
				    scull_ring_offset(capacity, tail),
				    "full, capacity %u, tail %u", capacity,
				    tail);
		KUNIT_ASSERT_EQ_MSG(test,
				    scull_ring_advance(capacity, head, capacity),
				    tail, "twice around, capacity %u, tail %u",
				    capacity, tail);
	}
}

/* Full and empty differ wherever they occur, though both ends are at one byte. */
static void ring_test_full(struct kunit *test)
{
	ring_test_each(test, ring_test_full_of);
}

/*
 * Puts bytes in and takes bytes out by turns, in steps of uneven sizes, until
 * both indices have been around more than twice, and compares with counters.
 */
static void ring_test_walk_of(struct kunit *test, unsigned int capacity)
{
	unsigned int stride = capacity / 37 + 1, step = 0, head = 0, tail = 0;
	u64 put = 0, taken = 0;

	while (taken <= 4ULL * capacity) {
		unsigned int used = scull_ring_used(capacity, head, tail), len;

		KUNIT_ASSERT_EQ_MSG(test, used, put - taken,
				    "capacity %u, put %llu, taken %llu",
				    capacity, put, taken);
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_offset(capacity, head),
				    ring_test_left(put, capacity),
				    "head, capacity %u, put %llu", capacity,
				    put);
		KUNIT_ASSERT_EQ_MSG(test, scull_ring_offset(capacity, tail),
				    ring_test_left(taken, capacity),
				    "tail, capacity %u, taken %llu", capacity,
				    taken);

		/* Now and then all that fits, or all there is. */
		len = step % 7 == 6 ? capacity : stride * (step % 5 + 1);
		if (step % 3) {
			len = min(len, capacity - used);
			head = scull_ring_advance(capacity, head, len);
			put += len;
		} else {
			len = min(len, used);
			tail = scull_ring_advance(capacity, tail, len);
			taken += len;
		}
		step++;
		KUNIT_ASSERT_LT_MSG(test, step, 100000, "capacity %u: no end",
				    capacity);
	}
}

static void ring_test_walk(struct kunit *test)
{
	ring_test_each(test, ring_test_walk_of);
}

static struct kunit_case ring_test_cases[] = {
	KUNIT_CASE(ring_test_used),
	KUNIT_CASE(ring_test_advance),
	KUNIT_CASE(ring_test_offset),
	KUNIT_CASE(ring_test_full),
	KUNIT_CASE(ring_test_walk),
	{}
};

static struct kunit_suite ring_test_suite = {
	.name = "scull_ring",
	.test_cases = ring_test_cases,
};

kunit_test_suite(ring_test_suite);
