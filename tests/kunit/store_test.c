// SPDX-License-Identifier: GPL-2.0
/*
 * The store, without devices: boundaries of quanta and sets, holes, the largest
 * offset, memory that runs out, memory that cannot be reached, callers that are
 * killed, and random calls. Most cases keep a plain buffer of what a stretch of
 * the store should hold, the window, and compare all of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/xarray.h>

/* --- the memory that the store gets ---------------------------------- */

/*
 * What the store has allocated and not yet freed, and how many allocations are
 * to succeed before all others are refused, or just one; negative: none is. How
 * often kmalloc() was asked, and whether the higher of two comes first; the lower
 * waits meanwhile.
 */
static struct {
	long held;
	long grants;
	bool once;
	unsigned int asked;
	bool turned;
	void *low;
} heap;

static bool heap_refuses(void)
{
	if (heap.grants < 0)
		return false;
	if (heap.grants) {
		heap.grants--;
		return false;
	}
	if (heap.once)
		heap.grants = -1;
	return true;
}

static void *heap_next(size_t size, gfp_t gfp)
{
	void *mem, *other;

	if (!heap.turned)
		return kmalloc(size, gfp);
	mem = heap.low;
	heap.low = NULL;
	if (mem)
		return mem;
	mem = kmalloc(size, gfp);
	other = kmalloc(size, gfp);
	if (!mem || !other) {
		kfree(mem);
		kfree(other);
		return NULL;
	}
	heap.low = min(mem, other);
	return max(mem, other);
}

static void *heap_take(void *mem)
{
	heap.held += !!mem;
	return mem;
}

/* Full of a byte that no test writes: what the store does not clear shows. */
#define HEAP_POISON 0xa5

static void *heap_kmalloc(size_t size, gfp_t gfp)
{
	void *mem = heap_refuses() ? NULL : heap_take(heap_next(size, gfp));

	heap.asked++;
	if (mem)
		memset(mem, HEAP_POISON, size);
	return mem;
}

static void *heap_kzalloc(size_t size, gfp_t gfp)
{
	return heap_refuses() ? NULL : heap_take(kzalloc(size, gfp));
}

static void heap_kfree(const void *mem)
{
	heap.held -= !!mem;
	kfree(mem);
}

static void *heap_xa_store(struct xarray *xa, unsigned long index, void *entry,
			   gfp_t gfp)
{
	if (heap_refuses())
		return XA_ERROR(-ENOMEM);
	return xa_store(xa, index, entry, gfp);
}

/*
 * A copy that stops early may have written past what it reports: on some
 * machines, sometimes. Here always, so that the store is seen to reckon with it.
 */
#define COPY_SPILL 0x5a

static size_t copy_and_spill(void *to, size_t len, struct iov_iter *from)
{
	size_t copied = copy_from_iter(to, len, from);

	memset(to + copied, COPY_SPILL, len - copied);
	return copied;
}

static unsigned long copy_user_and_spill(void *to, const void __user *from,
					 unsigned long len)
{
	unsigned long left = __copy_from_user(to, from, len);

	memset(to + len - left, COPY_SPILL, left);
	return left;
}

#undef kmalloc
#undef kzalloc
#undef kfree
#undef xa_store
#define copy_from_iter copy_and_spill
#define __copy_from_user copy_user_and_spill
#define kmalloc heap_kmalloc
#define kzalloc heap_kzalloc
#define kfree heap_kfree
#define xa_store heap_xa_store

/*
 * The store's functions are not exported, and are wanted here without the
 * driver: its source becomes part of this module. Static, so that the two go
 * together into one kernel.
 */
struct scull_store;

static struct scull_store *scull_store_create(unsigned int quantum,
					      unsigned int qset);
static void scull_store_destroy(struct scull_store *store);
static ssize_t scull_store_read(struct scull_store *store, loff_t pos,
				struct iov_iter *to);
static ssize_t scull_store_read_user(struct scull_store *store, loff_t pos,
				     char __user *buf, size_t count);
static ssize_t scull_store_write(struct scull_store *store, loff_t pos,
				 struct iov_iter *from);
static ssize_t scull_store_write_user(struct scull_store *store, loff_t pos,
				      const char __user *buf, size_t count);
static bool scull_store_covers(struct scull_store *store, loff_t pos,
			       size_t count);
static loff_t scull_store_seek_data(struct scull_store *store, loff_t pos);
static loff_t scull_store_seek_hole(struct scull_store *store, loff_t pos);

#include "../../store.c"

#undef copy_from_iter
#undef kmalloc
#undef kzalloc
#undef kfree
#undef xa_store

/* --- a store and what it should hold --------------------------------- */

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Repeats a run of random calls; 0: a new one each time");

struct store_pair {
	unsigned int quantum;
	unsigned int qset;
};

/* More than any vector here has. */
#define STORE_TEST_SEGMENTS 8

/* So many bytes after what a read may fill are looked after. */
#define STORE_TEST_GUARD 16
#define STORE_TEST_GUARD_BYTE 0xee

/*
 * @name says in messages what store this is. The window begins at @base, on a
 * quantum, and has @quanta of them, @room bytes: @bytes is what it should hold,
 * @there which quanta should exist. Nothing is ever written outside it.
 * @source are bytes to write, none 0 or one of those that tell a mistake; @turn
 * makes each write take other ones.
 */
struct store_test {
	struct scull_store *store;
	char name[64];
	loff_t base;
	loff_t size;
	unsigned int quantum;
	unsigned int quanta;
	size_t room;
	u8 *bytes;
	unsigned long *there;
	u8 *source;
	u8 *buffer;
	unsigned int turn;
	struct rnd_state rnd;
};

static u32 store_test_below(struct store_test *t, u32 n)
{
	return prandom_u32_state(&t->rnd) % n;
}

static int store_test_suite_init(struct kunit_suite *suite)
{
	if (!seed)
		seed = get_random_u32() ?: 1;
	kunit_info(suite, "random calls with seed %u\n", seed);
	return 0;
}

static int store_test_init(struct kunit *test)
{
	struct store_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	prandom_seed_state(&t->rnd, 1);
	test->priv = t;
	heap.held = 0;
	heap.grants = -1;
	return 0;
}

/* Also where a case failed half-way. */
static void store_test_exit(struct kunit *test)
{
	struct store_test *t = test->priv;

	heap.grants = -1;
	heap.once = false;
	heap.turned = false;
	kfree(heap.low);
	heap.low = NULL;
	if (!t)
		return;
	scull_store_destroy(t->store);
	KUNIT_EXPECT_EQ_MSG(test, heap.held, 0L,
			    "%s: allocations that nobody freed", t->name);
}

/* Empties the store, and gives it these sizes and this window. */
static void store_test_fresh(struct kunit *test, const struct store_pair *pair,
			     loff_t base)
{
	struct store_test *t = test->priv;

	scull_store_destroy(t->store);
	snprintf(t->name, sizeof(t->name), "quantum %u, qset %u, from %lld on",
		 pair->quantum, pair->qset, base);
	t->store = NULL;
	KUNIT_ASSERT_EQ_MSG(test, heap.held, 0L,
			    "%s: allocations that nobody freed", t->name);
	t->store = scull_store_create(pair->quantum, pair->qset);
	KUNIT_ASSERT_NOT_NULL(test, t->store);
	t->base = base;
	t->size = 0;
	t->quantum = pair->quantum;
	t->room = (size_t)t->quanta * t->quantum;
	memset(t->bytes, 0, t->room);
	bitmap_zero(t->there, t->quanta);
}

/* Makes room for windows of @quanta quanta of such a store. */
static void store_test_window(struct kunit *test, const struct store_pair *pair,
			      unsigned int quanta)
{
	struct store_test *t = test->priv;
	size_t room = (size_t)quanta * pair->quantum;
	size_t i;

	t->quanta = quanta;
	t->bytes = kunit_kzalloc(test, room, GFP_KERNEL);
	t->there = kunit_kcalloc(test, BITS_TO_LONGS(quanta), sizeof(long),
				 GFP_KERNEL);
	t->source = kunit_kzalloc(test, room + 256, GFP_KERNEL);
	t->buffer = kunit_kzalloc(test, room + 256, GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, t->bytes && t->there && t->source && t->buffer);
	prandom_bytes_state(&t->rnd, t->source, room + 256);
	for (i = 0; i < room + 256; i++)
		if (!t->source[i] || t->source[i] == HEAP_POISON ||
		    t->source[i] == COPY_SPILL)
			t->source[i] = 1;
}

/*
 * @count bytes at @mem as an iterator, in that many segments, of which some may
 * have no byte.
 */
static void store_test_iter(struct store_test *t, struct iov_iter *iter,
			    unsigned int direction, struct kvec *vec, void *mem,
			    size_t count, unsigned int segments)
{
	size_t len, done = 0;
	unsigned int i;

	for (i = 0; i < segments; i++) {
		len = count - done;
		if (i < segments - 1)
			len = store_test_below(t, len + 1);
		vec[i].iov_base = mem + done;
		vec[i].iov_len = len;
		done += len;
	}
	iov_iter_kvec(iter, direction, vec, segments, count);
}

static u64 store_test_nth(const struct store_test *t, loff_t pos)
{
	return div_u64(pos, t->quantum);
}

/* Should the quantum of this number, counted from offset 0, exist? */
static bool store_test_there(const struct store_test *t, u64 nth)
{
	u64 first = store_test_nth(t, t->base);

	return nth >= first && nth - first < t->quanta &&
	       test_bit(nth - first, t->there);
}

/* Writes in so many segments what comes next, and notes what it changes. */
static void store_test_write_split(struct kunit *test, loff_t pos, size_t count,
				   unsigned int segments)
{
	struct store_test *t = test->priv;
	u8 *from = t->source + t->turn++ % 251;
	struct kvec vec[STORE_TEST_SEGMENTS];
	ssize_t want = count, got;
	struct iov_iter iter;
	u64 nth;

	if (count && pos >= t->store->limit)
		want = -EFBIG;
	else if (count)
		want = min_t(u64, count, t->store->limit - pos);
	store_test_iter(t, &iter, ITER_SOURCE, vec, from, count, segments);

	got = scull_store_write(t->store, pos, &iter);

	KUNIT_ASSERT_EQ_MSG(test, got, want, "%s: write of %zu at %lld",
			    t->name, count, pos);
	if (got > 0) {
		memcpy(t->bytes + (pos - t->base), from, got);
		for (nth = store_test_nth(t, pos);
		     nth <= store_test_nth(t, pos + got - 1); nth++)
			__set_bit(nth - store_test_nth(t, t->base), t->there);
		t->size = max_t(loff_t, t->size, pos + got);
	}
	KUNIT_ASSERT_EQ_MSG(test, iov_iter_count(&iter),
			    count - max_t(ssize_t, got, 0),
			    "%s: left of the source by a write of %zu at %lld",
			    t->name, count, pos);
	KUNIT_ASSERT_EQ_MSG(test, t->store->size, t->size,
			    "%s: size after a write of %zu at %lld", t->name,
			    count, pos);
}

static void store_test_write(struct kunit *test, loff_t pos, size_t count)
{
	store_test_write_split(test, pos, count, 1);
}

/* The byte that should be at @pos. */
static u8 store_test_byte(const struct store_test *t, loff_t pos)
{
	if (pos < t->base || pos - t->base >= t->room)
		return 0;
	return t->bytes[pos - t->base];
}

/* Reads in so many segments and compares; @count is at most the room and 200 */
static void store_test_read_split(struct kunit *test, loff_t pos, size_t count,
				  unsigned int segments)
{
	struct store_test *t = test->priv;
	struct kvec vec[STORE_TEST_SEGMENTS];
	size_t want = 0, i;
	struct iov_iter iter;
	ssize_t got;

	if (pos < t->size)
		want = min_t(u64, count, t->size - pos);
	memset(t->buffer, STORE_TEST_GUARD_BYTE, count + STORE_TEST_GUARD);
	store_test_iter(t, &iter, ITER_DEST, vec, t->buffer, count, segments);

	got = scull_store_read(t->store, pos, &iter);

	KUNIT_ASSERT_EQ_MSG(test, got, want, "%s: read of %zu at %lld", t->name,
			    count, pos);
	KUNIT_ASSERT_EQ_MSG(test, iov_iter_count(&iter), count - want,
			    "%s: room left by a read of %zu at %lld", t->name,
			    count, pos);
	for (i = 0; i < want; i++)
		if (t->buffer[i] != store_test_byte(t, pos + i))
			KUNIT_FAIL_AND_ABORT(test,
					     "%s: read of %zu at %lld: byte at %lld is 0x%02x, expected 0x%02x",
					     t->name, count, pos, pos + i,
					     t->buffer[i],
					     store_test_byte(t, pos + i));
	for (; i < count + STORE_TEST_GUARD; i++)
		KUNIT_ASSERT_EQ_MSG(test, t->buffer[i], STORE_TEST_GUARD_BYTE,
				    "%s: read of %zu at %lld wrote behind its bytes",
				    t->name, count, pos);
}

static void store_test_read(struct kunit *test, loff_t pos, size_t count)
{
	store_test_read_split(test, pos, count, 1);
}

/* Asks for the next data or hole from @pos on, and compares. */
static void store_test_seek(struct kunit *test, loff_t pos)
{
	struct store_test *t = test->priv;
	loff_t data = -ENXIO, hole = -ENXIO;
	u64 nth, at;

	if (pos >= 0 && pos < t->size) {
		nth = store_test_nth(t, max_t(loff_t, pos, t->base));
		for (at = nth * t->quantum; at < t->size;
		     nth++, at += t->quantum) {
			if (store_test_there(t, nth)) {
				data = max_t(u64, pos, at);
				break;
			}
		}
		nth = store_test_nth(t, pos);
		at = nth * t->quantum;
		while (at < t->size && store_test_there(t, nth)) {
			nth++;
			at += t->quantum;
		}
		hole = clamp_t(u64, at, pos, t->size);
	}
	KUNIT_ASSERT_EQ_MSG(test, scull_store_seek_data(t->store, pos), data,
			    "%s: data from %lld on", t->name, pos);
	KUNIT_ASSERT_EQ_MSG(test, scull_store_seek_hole(t->store, pos), hole,
			    "%s: hole from %lld on", t->name, pos);
}

static void store_test_covers(struct kunit *test, loff_t pos, size_t count)
{
	struct store_test *t = test->priv;
	bool want = true;
	u64 nth, last;

	if (count) {
		last = div_u64((u64)pos + count - 1, t->quantum);
		for (nth = store_test_nth(t, pos); nth <= last; nth++)
			want = want && store_test_there(t, nth);
	}
	KUNIT_ASSERT_EQ_MSG(test, scull_store_covers(t->store, pos, count),
			    want, "%s: covers %zu at %lld", t->name, count,
			    pos);
}

/* Compares one quantum of the store, whether it should exist and its bytes. */
static void store_test_check_quantum(struct kunit *test, u64 nth,
				     const u8 *quantum)
{
	struct store_test *t = test->priv;
	const u8 *want;
	unsigned int i;

	KUNIT_ASSERT_TRUE_MSG(test, store_test_there(t, nth),
			      "%s: there is a quantum %llu", t->name, nth);
	want = t->bytes + (nth * t->quantum - t->base);
	for (i = 0; i < t->quantum; i++)
		if (quantum[i] != want[i])
			KUNIT_FAIL_AND_ABORT(test,
					     "%s: in memory, byte at %llu is 0x%02x, expected 0x%02x, size %lld",
					     t->name, nth * t->quantum + i,
					     quantum[i], want[i], t->size);
}

/*
 * Compares the structure itself: quanta where bytes were written and nowhere
 * else, 0 in them wherever nobody wrote, the size and beyond included, and every
 * count right.
 */
static void store_test_check_memory(struct kunit *test)
{
	struct store_test *t = test->priv;
	unsigned long quanta = 0, sets = 0, index;
	struct scull_set *set;
	unsigned int slot, found;

	xa_for_each(&t->store->sets, index, set) {
		found = 0;
		for (slot = 0; slot < t->store->qset; slot++) {
			if (!set->quanta[slot])
				continue;
			store_test_check_quantum(test, (u64)index *
						 t->store->qset + slot,
						 set->quanta[slot]);
			found++;
		}
		KUNIT_ASSERT_EQ_MSG(test, set->allocated, found,
				    "%s: count of set %lu", t->name, index);
		quanta += found;
		sets++;
		cond_resched();
	}
	KUNIT_ASSERT_EQ_MSG(test, quanta, bitmap_weight(t->there, t->quanta),
			    "%s: quanta", t->name);
	KUNIT_ASSERT_EQ_MSG(test, heap.held, 1 + sets + quanta,
			    "%s: allocations of 1 store, %lu sets, %lu quanta",
			    t->name, sets, quanta);
	KUNIT_ASSERT_EQ_MSG(test, t->store->size, t->size, "%s: size", t->name);
}

/* Compares all that there is, by reading, seeking and looking. */
static void store_test_check(struct kunit *test)
{
	struct store_test *t = test->priv;
	loff_t begin = max_t(loff_t, t->base - 3, 0);
	unsigned int i;
	loff_t pos;

	store_test_read(test, begin, t->room + 6);
	store_test_check_memory(test);
	store_test_seek(test, 0);
	store_test_seek(test, t->size - 1);
	store_test_seek(test, t->size);
	for (i = 0; i < t->quanta; i++) {
		pos = t->base + (loff_t)i * t->quantum;
		store_test_seek(test, pos);
		if (t->quantum > 1 && t->store->limit - pos >= t->quantum)
			store_test_seek(test, pos + t->quantum - 1);
	}
}

/* --- the cases ------------------------------------------------------- */

static const struct store_pair store_test_pairs[] = {
	{ 1, 1 }, { 1, 3 }, { 3, 1 }, { 2, 2 }, { 7, 3 }, { 13, 5 }, { 64, 8 },
	{ 511, 2 }, { 1, 1000 }, { 1000, 1 }, { 4000, 1000 }, { 4096, 512 },
	{ 4097, 3 }, { 16384, 4 }, { 1, 65536 },
};

static void store_test_describe(const struct store_pair *pair, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "quantum %u, qset %u",
		 pair->quantum, pair->qset);
}

/* Which pairs there are: every case with a store of any sizes takes all. */
KUNIT_ARRAY_PARAM(store_test, store_test_pairs, store_test_describe);

/*
 * Writes and reads that begin and end just below, at and just above an edge of
 * a quantum and of a set, and go across one or several.
 */
static void store_test_edge(struct kunit *test, const struct store_pair *pair,
			    loff_t edge)
{
	const size_t q = pair->quantum;
	const size_t counts[] = { 1, 2, q - 1, q, q + 1, 2 * q + 1 };
	loff_t base = max_t(loff_t, edge - 3 * (loff_t)q, 0), pos;
	unsigned int i, j;

	for (pos = edge - 1; pos <= edge + 1; pos++) {
		if (pos < base)
			continue;
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			store_test_fresh(test, pair, base);
			store_test_write(test, pos, counts[i]);
			store_test_check(test);
			/* Over part of that, and over the edge. */
			store_test_write(test, pos, 1);
			store_test_write(test, max_t(loff_t, edge - 1, 0), 2);
			store_test_check(test);
			for (j = 0; j < ARRAY_SIZE(counts); j++) {
				store_test_read(test, pos, counts[j]);
				store_test_covers(test, pos, counts[j]);
			}
		}
		cond_resched();
	}
}

static void store_test_edges(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	loff_t q = pair->quantum, set = q * pair->qset;
	const loff_t edges[] = { 0, q, set, set + q, 5 * set, 70 * set - q };
	unsigned int i;

	store_test_window(test, pair, 8);
	for (i = 0; i < ARRAY_SIZE(edges); i++)
		store_test_edge(test, pair, edges[i]);
}

/* Single bytes far apart: the rest is holes, in a set and of whole sets. */
static void store_test_holes(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	unsigned int span = min3(SZ_128K / pair->quantum,
				 max(4 * pair->qset, 12U), 200U);
	struct store_test *t = test->priv;
	loff_t edge = (loff_t)pair->quantum * pair->qset, base = 0, pos;
	unsigned int i;

	store_test_window(test, pair, span);
	/* Where a set does not fit twice, around the edge of one. */
	if (span < 2 * pair->qset)
		base = edge - (loff_t)(span / 2) * pair->quantum;
	store_test_fresh(test, pair, base);
	store_test_check(test);
	for (i = span - 1; i > 0; i -= min(i, span / 5)) {
		pos = base + (loff_t)i * t->quantum + i % t->quantum;
		store_test_write(test, pos, 1);
		store_test_check(test);
	}
	/* A hole of one quantum between data, then none. */
	store_test_write(test, base + t->quantum, 1);
	store_test_write(test, base + 3 * (loff_t)t->quantum, 1);
	store_test_check(test);
	store_test_write(test, base + 2 * (loff_t)t->quantum, 1);
	store_test_check(test);
	store_test_write(test, base, t->room);
	store_test_check(test);
}

/*
 * The size grows to the last byte written and never shrinks, and what it grows
 * over reads as 0, in a quantum that exists already as well.
 */
static void store_test_growth(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	struct store_test *t = test->priv;
	size_t pos, step;

	store_test_window(test, pair, 4);
	store_test_fresh(test, pair, 0);
	step = max(t->room / 23, 1UL);
	for (pos = step / 2; pos < t->room; pos += step) {
		store_test_write(test, pos, 1);
		store_test_check(test);
		store_test_write(test, pos / 2, min(step, pos - pos / 2));
		store_test_check(test);
	}
}

/* Nothing asked for, nothing done: wherever it is, and whatever there is. */
static void store_test_nothing(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	struct store_test *t = test->priv;
	loff_t places[] = { 0, pair->quantum, 100, LLONG_MAX - 1, LLONG_MAX };
	unsigned int i, round;

	store_test_window(test, pair, 4);
	store_test_fresh(test, pair, 0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(places); i++) {
			store_test_write_split(test, places[i], 0, 1);
			store_test_write_split(test, places[i], 0, 3);
			store_test_read_split(test, places[i], 0, 1);
			store_test_read_split(test, places[i], 0, 3);
			store_test_covers(test, places[i], 0);
		}
		store_test_seek(test, -1);
		store_test_seek(test, LLONG_MIN);
		store_test_seek(test, LLONG_MAX);
		store_test_check(test);
		store_test_write(test, 0, t->room);
	}
}

/* One call over many quanta from and to memory in pieces, some of them empty. */
static void store_test_vectors(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	struct store_test *t = test->priv;
	unsigned int i, segments;
	size_t pos, len;

	store_test_window(test, pair, 9);
	for (i = 0; i < 50; i++) {
		if (!(i % 10))
			store_test_fresh(test, pair, 0);
		segments = 1 + store_test_below(t, STORE_TEST_SEGMENTS);
		pos = store_test_below(t, t->room);
		len = store_test_below(t, t->room - pos + 1);
		store_test_write_split(test, pos, len, segments);
		segments = 1 + store_test_below(t, STORE_TEST_SEGMENTS);
		store_test_read_split(test, pos / 2, len + 7, segments);
		store_test_check(test);
	}
}

/*
 * What one write brings goes up in memory, in whatever order the allocator hands
 * it out, but for where the write begins anew to look for memory.
 */
static void store_test_order(struct kunit *test)
{
	const struct store_pair pair = { 1000, 100 };
	const unsigned int there = 5, runs = DIV_ROUND_UP(94 - there, SCULL_SPARES);
	struct store_test *t = test->priv;
	unsigned int slot, down = 0;
	struct scull_set *set;

	store_test_window(test, &pair, 95);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, there * pair.quantum, 1);
	heap.turned = true;
	store_test_write(test, 0, t->room);
	heap.turned = false;
	KUNIT_ASSERT_NULL(test, heap.low);
	store_test_check(test);
	set = xa_load(&t->store->sets, 0);
	for (slot = 1; slot < 95; slot++)
		down += set->quanta[slot] < set->quanta[slot - 1];
	/* Before and behind what was there, and between the runs. */
	KUNIT_EXPECT_LE(test, down, 2 + runs - 1);
}

/* Destroying a store frees all that it has, whatever that is. */
static void store_test_trim(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	struct store_test *t = test->priv;
	loff_t set = (loff_t)pair->quantum * pair->qset;
	unsigned int i;
	long held;

	store_test_window(test, pair, 5);
	scull_store_destroy(NULL);
	for (i = 0; i < 5; i++) {
		/* Quanta at a set's beginning, its end, across; all; none. */
		store_test_fresh(test, pair, 0);
		if (i == 1)
			store_test_fresh(test, pair, set - pair->quantum);
		if (i < 3)
			store_test_write(test, t->base +
					 (loff_t)i * pair->quantum, 1);
		if (i == 2)
			store_test_write(test, t->base, 1);
		if (i == 3)
			store_test_write(test, t->base, t->room);
		store_test_check(test);
		held = heap.held;
		scull_store_destroy(t->store);
		t->store = NULL;
		KUNIT_ASSERT_EQ_MSG(test, heap.held, 0L,
				    "%s: left of %ld allocations, round %u",
				    t->name, held, i);
	}
}

/* The largest offset, in 64 bits: where files end. Writes end there, too. */
static void store_test_limit(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	struct store_test *t = test->priv;
	u64 span = (u64)pair->quantum * pair->qset;
	loff_t limit = MAX_LFS_FILESIZE;
	size_t counts[] = { 1, 2, pair->quantum, 2 * pair->quantum + 5 };
	unsigned int i, back;
	loff_t base;

	/* In 32 bits a set's number may be what ends first. */
	if (sizeof(long) == 4 && span <= (MAX_LFS_FILESIZE >> 32))
		limit = span << 32;
	store_test_window(test, pair, 8);
	base = (loff_t)(div_u64(limit - 1, pair->quantum) - 4) * pair->quantum;
	for (back = 0; back < 2 * pair->quantum + 2; back += 1 + back / 2) {
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			store_test_fresh(test, pair, base);
			KUNIT_ASSERT_EQ_MSG(test, t->store->limit, limit,
					    "%s: limit", t->name);
			store_test_write(test, limit - back, counts[i]);
			store_test_check(test);
			store_test_write(test, limit, counts[i]);
			store_test_write(test, LLONG_MAX, counts[i]);
			store_test_check(test);
			store_test_read(test, limit - back, counts[i]);
			store_test_covers(test, limit - back, back);
			store_test_seek(test, limit - 1);
			store_test_seek(test, limit);
		}
	}
}

/* Quanta as large as can be, with a set's edge in the middle. */
static void store_test_largest(struct kunit *test)
{
	const struct store_pair pair = { min_t(size_t, KMALLOC_MAX_SIZE, SZ_1M),
					 1 };
	struct store_test *t = test->priv;

	store_test_window(test, &pair, 2);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, pair.quantum - 5, 11);
	store_test_check(test);
	store_test_write(test, 0, t->room);
	store_test_check(test);
}

/*
 * Each allocation of a write refused in turn, with all that follow: the write tells
 * what it could do, what it could not do leaves no trace, and the same again succeeds.
 */
static void store_test_memory(struct kunit *test)
{
	const struct store_pair pair = { 7, 3 };
	struct store_test *t = test->priv;
	const loff_t pos = 5;
	const size_t count = 60;
	unsigned int refused;
	struct iov_iter iter;
	struct kvec vec;
	ssize_t got = 0, before = -1;

	store_test_window(test, &pair, 10);
	heap.grants = 0;
	KUNIT_ASSERT_NULL(test, scull_store_create(7, 3));
	heap.grants = -1;
	for (refused = 0; got != count; refused++) {
		KUNIT_ASSERT_LT_MSG(test, refused, 100, "there is no end");
		store_test_fresh(test, &pair, 0);
		/* Something that is there before, and stays. */
		store_test_write(test, 1, 2);
		store_test_iter(t, &iter, ITER_SOURCE, &vec, t->source, count,
				1);
		heap.grants = refused;
		got = scull_store_write(t->store, pos, &iter);
		heap.grants = -1;
		KUNIT_ASSERT_TRUE_MSG(test, got > 0 && got >= before,
				      "write returned %zd with allocation %u refused, %zd with the one before",
				      got, refused, before);
		before = got;
		KUNIT_ASSERT_TRUE_MSG(test, got == count ||
				      (pos + got) % t->quantum == 0,
				      "write returned %zd with allocation %u refused",
				      got, refused);
		memcpy(t->bytes + pos, t->source, got);
		bitmap_set(t->there, 0, (pos + got - 1) / t->quantum + 1);
		t->size = pos + got;
		if (got < count) {
			/* Where the memory ended: not even one byte. */
			store_test_iter(t, &iter, ITER_SOURCE, &vec, t->source,
					1, 1);
			heap.grants = 0;
			KUNIT_ASSERT_EQ_MSG(test,
					    scull_store_write(t->store,
							      pos + got, &iter),
					    -ENOMEM, "allocation %u", refused);
			heap.grants = -1;
		}
		store_test_check(test);
		store_test_write(test, pos, count);
		store_test_check(test);
	}
	/* Nine quanta more, three sets more and their places in the xarray. */
	KUNIT_EXPECT_EQ(test, refused - 1, 9 + 2 * 3);
}

/*
 * Two pages of a process, of which the second is gone: user memory whose first
 * @good bytes can be used, and what follows them not.
 */
static u8 __user *store_test_cliff(struct kunit *test, size_t good)
{
	unsigned long at = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE,
					 PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct store_test *t = test->priv;

	KUNIT_ASSERT_TRUE_MSG(test, at && !IS_ERR_VALUE(at), "mmap: %ld",
			      (long)at);
	at += PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, vm_munmap(at, PAGE_SIZE), 0);
	at -= good;
	KUNIT_ASSERT_EQ(test,
			copy_to_user((void __user *)at, t->source, good), 0UL);
	return (u8 __user *)at;
}

/*
 * Before the old end, an interrupted write may have spilled over more than it
 * says: notes where it did.
 */
static void store_test_settle(struct kunit *test, loff_t pos, size_t begin,
			      size_t end)
{
	struct store_test *t = test->priv;
	struct iov_iter iter;
	struct kvec vec;
	size_t i;
	u8 now;

	for (i = begin; i < end && pos + i < t->size; i++) {
		store_test_iter(t, &iter, ITER_DEST, &vec, &now, 1, 1);
		KUNIT_ASSERT_EQ(test,
				scull_store_read(t->store, pos + i, &iter), 1);
		if (now == COPY_SPILL)
			t->bytes[pos + i] = now;
	}
}

/* A write of @count bytes at @pos, of which @good can be read. */
static void store_test_write_cliff(struct kunit *test, loff_t pos, size_t count,
				   size_t good, bool user)
{
	u8 __user *from = store_test_cliff(test, good);
	struct store_test *t = test->priv;
	struct iov_iter iter;
	ssize_t got;

	if (user) {
		got = scull_store_write_user(t->store, pos, from, count);
	} else {
		iov_iter_ubuf(&iter, ITER_SOURCE, from, count);
		got = scull_store_write(t->store, pos, &iter);
	}

	if (good == count)
		KUNIT_ASSERT_EQ_MSG(test, got, (ssize_t)count,
				    "%s: write of %zu at %lld", t->name, count,
				    pos);
	else if (good)
		KUNIT_ASSERT_TRUE_MSG(test, got > 0 && got <= good,
				      "%s: write of %zu at %lld, %zu of them good, returned %zd",
				      t->name, count, pos, good, got);
	else
		KUNIT_ASSERT_EQ_MSG(test, got, -EFAULT,
				    "%s: write of %zu at %lld, none of them good",
				    t->name, count, pos);
	got = max_t(ssize_t, got, 0);
	memcpy(t->bytes + pos, t->source, got);
	if (got)
		bitmap_set(t->there, pos / t->quantum,
			   (pos + got - 1) / t->quantum - pos / t->quantum + 1);
	store_test_settle(test, pos, got, count);
	if (got)
		t->size = max_t(loff_t, t->size, pos + got);
	store_test_check(test);
}

/*
 * Writes of @count bytes from memory that ends after @good, into holes, over data,
 * and over the end.
 */
static void store_test_write_good(struct kunit *test, size_t count, size_t good,
				  bool user)
{
	const struct store_pair pair = { 20, 2 };
	struct store_test *t = test->priv;

	store_test_fresh(test, &pair, 0);
	store_test_write_cliff(test, 10, count, good, user);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, 0, 25);
	store_test_write_cliff(test, 10, count, good, user);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, 0, t->room);
	store_test_write_cliff(test, 10, count, good, user);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, 65, 10);
	store_test_write_cliff(test, 10, count, good, user);
}

/* Of a quantum that is got in advance nothing depends, and large ones are not. */
static void store_test_advance(struct kunit *test)
{
	const struct store_pair large = { PAGE_SIZE + 1, 10 };
	const struct store_pair pair = { 100, 10 };
	struct store_test *t = test->priv;
	unsigned int refused;

	store_test_window(test, &pair, 20);
	for (refused = 3; refused < 10; refused++) {
		store_test_fresh(test, &pair, 0);
		heap.once = true;
		heap.grants = refused;
		store_test_write(test, 0, t->room);
		KUNIT_ASSERT_EQ(test, heap.grants, -1L);
		heap.once = false;
		store_test_check(test);
	}
	store_test_window(test, &large, 3);
	store_test_fresh(test, &large, 0);
	heap.asked = 0;
	store_test_write_cliff(test, 0, 2 * large.quantum, 0, true);
	KUNIT_EXPECT_EQ(test, heap.asked, 1);
	store_test_check(test);
}

/*
 * Writes from memory that ends, part-way through a quantum and at its edge: all
 * that a quantum has past the end of the store is 0 afterwards, and a quantum
 * that got no byte does not exist.
 */
static void store_test_fault_write(struct kunit *test)
{
	const struct store_pair pair = { 20, 2 };
	const size_t goods[] = { 0, 1, 9, 10, 11, 29, 30, 31, 50 };
	unsigned int i, more;

	store_test_window(test, &pair, 8);
	for (i = 0; i < ARRAY_SIZE(goods); i++) {
		store_test_write_good(test, 60, goods[i], false);
		/* All of it good, then near and far. */
		for (more = goods[i] ? 0 : 1; more < 60; more += 7)
			store_test_write_good(test, goods[i] + more, goods[i],
					      true);
	}
}

/* Reads @count bytes at @from to where there is room for @good only. */
static void store_test_read_good(struct kunit *test, unsigned int from,
				 size_t good, size_t count, bool user)
{
	u8 __user *to = store_test_cliff(test, good);
	struct store_test *t = test->priv;
	struct iov_iter iter;
	ssize_t got;

	if (user) {
		got = scull_store_read_user(t->store, from, to, count);
	} else {
		iov_iter_ubuf(&iter, ITER_DEST, to, count);
		got = scull_store_read(t->store, from, &iter);
	}
	/* A hole is cleared, and not all machines clear less than a word. */
	if (!IS_ENABLED(CONFIG_X86_64) && got == -EFAULT &&
	    good < sizeof(u64) && !t->bytes[from])
		got = 0;
	else if (!good)
		KUNIT_ASSERT_EQ_MSG(test, got, -EFAULT, "read at %u", from);
	else
		KUNIT_ASSERT_TRUE_MSG(test, got > 0 && got <= good,
				      "read of %zu at %u to %zu good bytes returned %zd",
				      count, from, good, got);
	got = max_t(ssize_t, got, 0);
	KUNIT_ASSERT_EQ(test, copy_from_user(t->buffer, to, got), 0UL);
	KUNIT_ASSERT_EQ_MSG(test, memcmp(t->buffer, t->bytes + from, got), 0,
			    "read of %zu at %u to %zu good bytes", count, from,
			    good);
}

/* Reads into memory that ends: from data and from holes. */
static void store_test_fault_read(struct kunit *test)
{
	const struct store_pair pair = { 20, 2 };
	const size_t goods[] = { 0, 1, 9, 10, 11, 29, 30, 31, 50 };
	unsigned int i, from, more;

	store_test_window(test, &pair, 8);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, 20, 20);
	store_test_write(test, 80, 80);
	for (i = 0; i < ARRAY_SIZE(goods); i++) {
		for (from = 0; from < 90; from += 10) {
			store_test_read_good(test, from, goods[i], 60, false);
			/* Near and far. */
			for (more = 1; more < 60; more += 7)
				store_test_read_good(test, from, goods[i],
						     goods[i] + more, true);
		}
	}
	store_test_check(test);
}

/* --- callers that are killed ----------------------------------------- */

/* A kernel thread has no signal handlers: it only sees that SIGKILL came. */
static void store_test_kill(bool killed)
{
	if (killed) {
		allow_signal(SIGKILL);
		send_sig(SIGKILL, current, 1);
	} else {
		flush_signals(current);
		disallow_signal(SIGKILL);
	}
}

/*
 * Whoever is killed stops after a quantum or a set, with what he has; a call
 * that has its result by then gives it.
 */
static void store_test_killed(struct kunit *test)
{
	const struct store_pair pair = { 10, 3 };
	struct store_test *t = test->priv;
	ssize_t wrote, over, got, last;
	loff_t data, hole, near, end;
	struct iov_iter iter;
	struct kvec vec;
	bool covers, pending;

	store_test_window(test, &pair, 40);
	store_test_fresh(test, &pair, 0);
	store_test_write(test, 0, 60);
	store_test_write(test, 300, 60);

	store_test_kill(true);
	pending = fatal_signal_pending(current);
	store_test_iter(t, &iter, ITER_SOURCE, &vec, t->source, 50, 1);
	wrote = scull_store_write(t->store, 364, &iter);
	store_test_iter(t, &iter, ITER_SOURCE, &vec, t->source, 50, 1);
	over = scull_store_write(t->store, 7, &iter);
	store_test_iter(t, &iter, ITER_DEST, &vec, t->buffer, 50, 1);
	got = scull_store_read(t->store, 18, &iter);
	store_test_iter(t, &iter, ITER_DEST, &vec, t->buffer, 50, 1);
	last = scull_store_read(t->store, 369, &iter);
	covers = scull_store_covers(t->store, 0, 60);
	data = scull_store_seek_data(t->store, 60);
	near = scull_store_seek_data(t->store, 35);
	hole = scull_store_seek_hole(t->store, 0);
	end = scull_store_seek_hole(t->store, 100);
	store_test_kill(false);

	KUNIT_ASSERT_TRUE(test, pending);
	KUNIT_EXPECT_EQ(test, wrote, 6);
	KUNIT_EXPECT_EQ(test, over, 3);
	KUNIT_EXPECT_EQ(test, got, 2);
	KUNIT_EXPECT_EQ(test, last, 1);
	KUNIT_EXPECT_FALSE(test, covers);
	/* The search begins in a set that is not there, and finds the next. */
	KUNIT_EXPECT_EQ(test, data, 300);
	KUNIT_EXPECT_EQ(test, near, 35);
	KUNIT_EXPECT_EQ(test, hole, -EINTR);
	KUNIT_EXPECT_EQ(test, end, 100);

	memcpy(t->bytes + 364, t->source, 6);
	memcpy(t->bytes + 7, t->source, 3);
	t->size = 370;
	__set_bit(36, t->there);
	store_test_check(test);

	/* From a hole in a set to the next set: there is a stop between. */
	store_test_kill(true);
	data = scull_store_seek_data(t->store, 375);
	store_test_kill(false);
	KUNIT_EXPECT_EQ(test, data, -ENXIO);
	store_test_write(test, 390, 1);
	store_test_kill(true);
	data = scull_store_seek_data(t->store, 370);
	store_test_kill(false);
	KUNIT_EXPECT_EQ(test, data, -EINTR);
	store_test_check(test);
}

/* --- random calls ---------------------------------------------------- */

static void store_test_random_step(struct kunit *test)
{
	struct store_test *t = test->priv;
	unsigned int segments = 1 + store_test_below(t, 4);
	u64 far = (u64)t->base + store_test_below(t, t->room);
	loff_t pos = min_t(u64, far, LLONG_MAX);
	size_t count, left = t->room - (pos - t->base);

	/* Small and large alike, often to the end of a quantum or one more. */
	count = store_test_below(t, left + 1);
	if (store_test_below(t, 2))
		count = min_t(size_t, store_test_below(t, 3 * t->quantum + 2),
			      left);
	if (!store_test_below(t, 4))
		pos -= (u32)(pos - t->base) % t->quantum;

	switch (store_test_below(t, 16)) {
	case 0 ... 4:
		store_test_write_split(test, pos, count, segments);
		break;
	case 5 ... 9:
		store_test_read_split(test, max_t(loff_t, pos - 5, 0),
				      count + 20, segments);
		break;
	case 10 ... 11:
		store_test_covers(test, pos, count);
		break;
	case 12 ... 14:
		store_test_seek(test, max_t(loff_t, pos - 5, -1));
		break;
	case 15:
		store_test_seek(test, 0);
		store_test_check_memory(test);
		break;
	}
}

static void store_test_random_from(struct kunit *test,
				   const struct store_pair *pair, loff_t base)
{
	unsigned int step;

	for (step = 0; step < 600; step++) {
		if (step % 200 == 0)
			store_test_fresh(test, pair, base);
		store_test_random_step(test);
		if (step % 25 == 24)
			store_test_check(test);
		cond_resched();
	}
}

/* At the beginning, around an edge of a set far away, and at the very end. */
static void store_test_random(struct kunit *test)
{
	const struct store_pair *pair = test->param_value;
	unsigned int quanta = clamp(SZ_32K / pair->quantum, 8, 100);
	loff_t q = pair->quantum, set = q * pair->qset, end;
	struct store_test *t = test->priv;

	prandom_seed_state(&t->rnd, seed);
	store_test_window(test, pair, quanta);
	store_test_random_from(test, pair, 0);
	store_test_random_from(test, pair, max(1000003 * set - quanta / 2 * q, 0));
	end = (loff_t)(div_u64(t->store->limit - 1, q) + 1 - quanta) * q;
	store_test_random_from(test, pair, end);
}

static struct kunit_case store_test_cases[] = {
	KUNIT_CASE_PARAM(store_test_edges, store_test_gen_params),
	KUNIT_CASE_PARAM(store_test_holes, store_test_gen_params),
	KUNIT_CASE_PARAM(store_test_growth, store_test_gen_params),
	KUNIT_CASE_PARAM(store_test_nothing, store_test_gen_params),
	KUNIT_CASE_PARAM(store_test_vectors, store_test_gen_params),
	KUNIT_CASE(store_test_order),
	KUNIT_CASE(store_test_advance),
	KUNIT_CASE_PARAM(store_test_trim, store_test_gen_params),
	KUNIT_CASE_PARAM(store_test_limit, store_test_gen_params),
	KUNIT_CASE(store_test_largest),
	KUNIT_CASE(store_test_memory),
	KUNIT_CASE(store_test_fault_write),
	KUNIT_CASE(store_test_fault_read),
	KUNIT_CASE(store_test_killed),
	KUNIT_CASE_PARAM(store_test_random, store_test_gen_params),
	{}
};

static struct kunit_suite store_test_suite = {
	.name = "scull_store",
	.suite_init = store_test_suite_init,
	.init = store_test_init,
	.exit = store_test_exit,
	.test_cases = store_test_cases,
};

kunit_test_suite(store_test_suite);

MODULE_DESCRIPTION("Tests of scull's store and of its pipes' rings");
MODULE_LICENSE("GPL");
