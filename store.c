// SPDX-License-Identifier: GPL-2.0
/*
 * The store: bytes at offsets, kept in quanta of equal size that come from
 * kmalloc() when they are first written. A set holds the pointers of a fixed
 * number of quanta, an xarray finds the set, so an access costs the same
 * however large the store is. What was never written reads as 0, takes no
 * memory, and can be told from what was.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

/*
 * A place in a store, moved from quantum to quantum: the set's index in the
 * xarray and the set itself (NULL in a hole), the quantum's number in the set,
 * and the byte in the quantum.
 */
struct scull_cursor {
	unsigned long index;
	struct scull_set *set;
	unsigned int slot;
	unsigned int offset;
};

/* The set at @index, or NULL; if there is one, it is the next hint. */
static noinline struct scull_set *scull_store_find(struct scull_store *store,
						   unsigned long index)
{
	struct scull_set *set = xa_load(&store->sets, index);

	if (set)
		WRITE_ONCE(store->recent, set);
	return set;
}

/* Does the hint @set, if there is one, have the byte at @pos? */
static __always_inline bool scull_store_hit(const struct scull_store *store,
					    const struct scull_set *set,
					    loff_t pos)
{
	/* A @pos before it wraps round and is far behind it. */
	return set && pos - set->start < store->span;
}

static __always_inline void scull_cursor_init(struct scull_cursor *cur,
					      struct scull_store *store,
					      loff_t pos)
{
	struct scull_set *set = READ_ONCE(store->recent);
	u64 start;

	if (likely(scull_store_hit(store, set, pos))) {
		cur->index = set->index;
		start = set->start;
	} else {
		cur->index = div64_u64(pos, store->span);
		start = cur->index * store->span;
		set = scull_store_find(store, cur->index);
	}
	cur->set = set;
	cur->slot = div_u64_rem(pos - start, store->quantum, &cur->offset);
}

static void scull_cursor_next(struct scull_cursor *cur,
			      struct scull_store *store)
{
	cur->offset = 0;
	if (++cur->slot < store->qset)
		return;
	cur->slot = 0;
	cur->set = xa_load(&store->sets, ++cur->index);
}

static void *scull_cursor_quantum(const struct scull_cursor *cur)
{
	return cur->set ? cur->set->quanta[cur->slot] : NULL;
}

/*
 * Bytes that lie next to each other in a store: @len at @place in memory, and
 * the @rest of them, if there is one, at @next.
 */
struct scull_near {
	void *place;
	size_t len;
	void *next;
	size_t rest;
};

/*
 * Finds where in memory the @count bytes at @pos are, if they are in one quantum,
 * or in two that follow each other in a set, and not in a hole. So it is for all
 * but long accesses, and they need no more than this.
 */
static __always_inline bool scull_store_near(struct scull_store *store,
					     loff_t pos, size_t count,
					     struct scull_near *near)
{
	struct scull_set *set = READ_ONCE(store->recent);
	unsigned int slot, offset, room;

	if (!scull_store_hit(store, set, pos)) {
		set = scull_store_find(store, div64_u64(pos, store->span));
		if (!set)
			return false;
	}
	slot = div_u64_rem(pos - set->start, store->quantum, &offset);
	room = store->quantum - offset;
	if (!set->quanta[slot])
		return false;
	near->place = set->quanta[slot] + offset;
	near->len = min_t(size_t, count, room);
	near->rest = count - near->len;
	if (!near->rest)
		return true;
	if (near->rest > store->quantum || slot + 1 == store->qset)
		return false;
	near->next = set->quanta[slot + 1];
	return near->next;
}

/* Where the quantum @slot of the set at @index begins. */
static u64 scull_store_offset(const struct scull_store *store,
			      unsigned long index, unsigned int slot)
{
	return index * store->span + (u64)slot * store->quantum;
}

/*
 * Between two steps of something long: lets others run. True if the caller is
 * being killed and should stop with what it has.
 */
static bool scull_store_interrupted(void)
{
	cond_resched();
	/* Signals come by plain stores; who misses one sees it the next time. */
	return data_race(fatal_signal_pending(current));
}

/*
 * The first offset that cannot be stored: files end at MAX_LFS_FILESIZE, and
 * where a long has 32 bits the xarray may run out of indices, 0 to ULONG_MAX,
 * before that.
 */
static loff_t scull_store_limit(u64 span)
{
	u64 limit;

	if (check_mul_overflow(span, (u64)ULONG_MAX, &limit) ||
	    check_add_overflow(limit, span, &limit))
		return MAX_LFS_FILESIZE;
	return min_t(u64, limit, MAX_LFS_FILESIZE);
}

/**
 * scull_store_create - make an empty store
 * @quantum:	bytes in a quantum, 1 to KMALLOC_MAX_SIZE
 * @qset:	quanta in a set, at least 1
 *
 * May sleep.
 *
 * Return: the store, or NULL if there is no memory for it.
 */
struct scull_store *scull_store_create(unsigned int quantum, unsigned int qset)
{
	struct scull_store *store = kzalloc(sizeof(*store), SCULL_GFP);

	if (!store)
		return NULL;
	xa_init_flags(&store->sets, XA_FLAGS_ACCOUNT);
	store->quantum = quantum;
	store->qset = qset;
	store->span = (u64)quantum * qset;
	store->limit = scull_store_limit(store->span);
	return store;
}

/**
 * scull_store_destroy - free a store and all that it holds
 * @store:	the store, which nobody else uses any more; NULL is ignored
 *
 * May sleep.
 */
void scull_store_destroy(struct scull_store *store)
{
	struct scull_set *set;
	unsigned long index;
	unsigned int slot;

	if (!store)
		return;
	xa_for_each(&store->sets, index, set) {
		for (slot = 0; set->allocated; slot++) {
			if (!set->quanta[slot])
				continue;
			kfree(set->quanta[slot]);
			set->allocated--;
			cond_resched();
		}
		kfree(set);
		cond_resched();
	}
	xa_destroy(&store->sets);
	kfree(store);
}

/**
 * scull_store_read - copy bytes out of a store
 * @store:	the store, kept from writers by the caller
 * @pos:	the offset to begin at, not negative
 * @to:		where the bytes go, and how many are wanted
 *
 * Reads across quanta, sets and holes in one go and stops only at the end of
 * the store, at memory that cannot be written, or when the caller is killed.
 * May sleep.
 *
 * Return: how many bytes were read, 0 at or past the end of the store, or
 * -EFAULT if not even the first could be delivered.
 */
ssize_t scull_store_read(struct scull_store *store, loff_t pos,
			 struct iov_iter *to)
{
	size_t count = iov_iter_count(to), copied, len, done = 0;
	struct scull_cursor cur;
	void *quantum;

	if (pos >= store->size)
		return 0;
	count = min_t(u64, count, store->size - pos);
	scull_cursor_init(&cur, store, pos);
	while (done < count) {
		len = min_t(size_t, store->quantum - cur.offset, count - done);
		quantum = scull_cursor_quantum(&cur);
		if (quantum)
			copied = copy_to_iter(quantum + cur.offset, len, to);
		else
			copied = iov_iter_zero(len, to);
		done += copied;
		if (copied < len)
			return done ? done : -EFAULT;
		if (done == count || scull_store_interrupted())
			break;
		scull_cursor_next(&cur, store);
	}
	return done;
}

/* scull_store_read_user() of what scull_store_near() does not find. */
static noinline ssize_t scull_store_read_far(struct scull_store *store,
					     loff_t pos, char __user *buf,
					     size_t count)
{
	struct iov_iter to;

	iov_iter_ubuf(&to, ITER_DEST, buf, count);
	return scull_store_read(store, pos, &to);
}

/**
 * scull_store_read_user - copy bytes out of a store to user space
 * @store:	the store, kept from writers by the caller
 * @pos:	the offset to begin at, not negative
 * @buf:	where the bytes go
 * @count:	how many are wanted
 *
 * Does what scull_store_read() does. What is near goes out by __copy_to_user(),
 * which spares what copy_to_iter() does to find out what it copies to. May sleep.
 *
 * Return: as scull_store_read().
 */
ssize_t scull_store_read_user(struct scull_store *store, loff_t pos,
			      char __user *buf, size_t count)
{
	struct scull_near near;
	size_t left;

	if (pos >= store->size || !count)
		return 0;
	count = min_t(u64, count, store->size - pos);
	if (!scull_store_near(store, pos, count, &near))
		return scull_store_read_far(store, pos, buf, count);
	/* The VFS has looked before, but what begins with __ trusts its caller. */
	if (!access_ok(buf, count))
		return -EFAULT;
	left = __copy_to_user(buf, near.place, near.len);
	if (near.rest && !left)
		left = __copy_to_user(buf + near.len, near.next, near.rest);
	else
		left += near.rest;
	return left < count ? count - left : -EFAULT;
}

/* Gives the cursor a set where it stands in a hole. */
static int scull_store_add_set(struct scull_store *store,
			       struct scull_cursor *cur)
{
	struct scull_set *set;
	int err;

	set = kzalloc(struct_size(set, quanta, store->qset), SCULL_GFP);
	if (!set)
		return -ENOMEM;
	set->index = cur->index;
	set->start = cur->index * store->span;
	err = xa_err(xa_store(&store->sets, cur->index, set, SCULL_GFP));
	if (err) {
		kfree(set);
		return err;
	}
	cur->set = set;
	WRITE_ONCE(store->recent, set);
	pr_debug("a set for %u quanta, at index %lu\n", store->qset, set->index);
	trace_scull_set_alloc(set->index, store->qset);
	return 0;
}

/*
 * How many quanta are missing, one after the other from the cursor on, where the
 * rest of a write goes: in this set, and SCULL_SPARES at most. Those larger than a
 * page are got one at a time: there is little to gain, and who gives a bad address
 * is not to cost much memory.
 */
static unsigned int scull_store_missing(const struct scull_store *store,
					const struct scull_cursor *cur)
{
	void **quanta = cur->set->quanta + cur->slot;
	size_t end = cur->offset + store->spares.left, most;
	unsigned int n = 1;

	if (end <= store->quantum || store->quantum > PAGE_SIZE)
		return 1;
	most = min3(DIV_ROUND_UP(end, store->quantum),
		    (size_t)(store->qset - cur->slot), (size_t)SCULL_SPARES);
	while (n < most && !quanta[n])
		n++;
	return n;
}

/*
 * Sees to it that there are a set at the cursor and a spare to join it. Not a part
 * of scull_store_write(), for which the compiler then has registers enough.
 */
static noinline int scull_store_reserve(struct scull_store *store,
					struct scull_cursor *cur)
{
	struct scull_spares *spares = &store->spares;
	unsigned int missing, i;
	void *quantum;
	int err;

	if (!cur->set) {
		err = scull_store_add_set(store, cur);
		if (err)
			return err;
	}
	if (spares->next < spares->count)
		return 0;
	missing = scull_store_missing(store, cur);
	spares->next = 0;
	for (spares->count = 0; spares->count < missing; spares->count++) {
		/* Only what is needed now is worth an effort. */
		quantum = kmalloc(store->quantum,
				  spares->count ? SCULL_GFP_SPARE : SCULL_GFP);
		if (!quantum)
			break;
		for (i = spares->count; i && spares->quanta[i - 1] > quantum; i--)
			spares->quanta[i] = spares->quanta[i - 1];
		spares->quanta[i] = quantum;
	}
	return spares->count ? 0 : -ENOMEM;
}

/* Frees what a write that ended early did not take. */
static void scull_store_unreserve(struct scull_store *store)
{
	struct scull_spares *spares = &store->spares;

	while (spares->next < spares->count) {
		kfree(spares->quanta[spares->next]);
		spares->quanta[spares->next++] = NULL;
	}
}

/*
 * Writes a new quantum at the cursor, a spare. It joins the store only after all
 * of it was written or cleared, so nobody ever reads what kmalloc() left in it,
 * and only if the copy brought at least a byte.
 */
static ssize_t scull_store_fill(struct scull_store *store,
				struct scull_cursor *cur, size_t len,
				struct iov_iter *from)
{
	void *quantum = store->spares.quanta[store->spares.next];
	size_t copied, end;

	copied = copy_from_iter(quantum + cur->offset, len, from);
	if (!copied)
		return -EFAULT;
	end = cur->offset + copied;
	/* Of a long write most quanta are written whole. */
	if (cur->offset)
		memset(quantum, 0, cur->offset);
	if (end < store->quantum)
		memset(quantum + end, 0, store->quantum - end);
	store->spares.quanta[store->spares.next++] = NULL;
	cur->set->quanta[cur->slot] = quantum;
	cur->set->allocated++;
	store->quanta++;
	return copied;
}

/*
 * Writes over a part of a quantum end here: of @len bytes at @place in memory, at
 * @pos in the store, @copied were written. A copy that stops at a bad address may
 * have written past what it reports: what of that lies past the end of the store
 * is cleared again.
 */
static __always_inline ssize_t
scull_store_overwritten(struct scull_store *store, void *place, loff_t pos,
			size_t len, size_t copied)
{
	size_t keep = copied;

	if (likely(copied == len))
		return len;
	if (store->size > pos)
		keep = max_t(u64, copied, min_t(u64, store->size - pos, len));
	memset(place + keep, 0, len - keep);
	return copied ? copied : -EFAULT;
}

/* Writes at most @len bytes, all in one quantum, at the cursor. */
static ssize_t scull_store_write_quantum(struct scull_store *store,
					 struct scull_cursor *cur, loff_t pos,
					 size_t len, struct iov_iter *from)
{
	void *quantum = scull_cursor_quantum(cur);
	size_t copied;
	int err;

	if (quantum) {
		quantum += cur->offset;
		copied = copy_from_iter(quantum, len, from);
		return scull_store_overwritten(store, quantum, pos, len,
					       copied);
	}
	err = scull_store_reserve(store, cur);
	if (err)
		return err;
	return scull_store_fill(store, cur, len, from);
}

/**
 * scull_store_write - copy bytes into a store
 * @store:	the store, which the caller alone uses
 * @pos:	the offset to begin at, not negative
 * @from:	the bytes
 *
 * Takes all of @from unless memory runs out, part of @from cannot be read, the
 * caller is killed or the store's limit is reached; what was taken until then
 * is in the store. May sleep.
 *
 * Return: how many bytes were written, or if not even one was: -EFBIG at or
 * past the limit, -ENOMEM without memory, -EFAULT at a bad address.
 */
ssize_t scull_store_write(struct scull_store *store, loff_t pos,
			  struct iov_iter *from)
{
	size_t count = iov_iter_count(from), len, done = 0;
	struct scull_cursor cur;
	ssize_t ret = 0;

	if (pos >= store->limit)
		return count ? -EFBIG : 0;
	count = min_t(u64, count, store->limit - pos);
	scull_cursor_init(&cur, store, pos);
	while (done < count) {
		store->spares.left = count - done;
		len = min_t(size_t, store->quantum - cur.offset, count - done);
		ret = scull_store_write_quantum(store, &cur, pos + done, len,
						from);
		if (ret < 0)
			break;
		done += ret;
		if (ret < len || done == count || scull_store_interrupted())
			break;
		scull_cursor_next(&cur, store);
	}
	scull_store_unreserve(store);
	if (!done)
		return ret;
	store->size = max_t(loff_t, store->size, pos + done);
	return done;
}

/* scull_store_write_user() to where scull_store_near() finds nothing. */
static noinline ssize_t scull_store_write_far(struct scull_store *store,
					      loff_t pos,
					      const char __user *buf,
					      size_t count)
{
	struct iov_iter from;

	iov_iter_ubuf(&from, ITER_SOURCE, (void __user *)buf, count);
	return scull_store_write(store, pos, &from);
}

/**
 * scull_store_write_user - copy bytes from user space into a store
 * @store:	the store, which the caller alone uses
 * @pos:	the offset to begin at, not negative
 * @buf:	the bytes
 * @count:	how many there are
 *
 * Does what scull_store_write() does. What is near comes in by __copy_from_user(),
 * for copy_from_user() clears what it could not copy, and that would be bytes
 * that the store holds. May sleep.
 *
 * Return: as scull_store_write().
 */
ssize_t scull_store_write_user(struct scull_store *store, loff_t pos,
			       const char __user *buf, size_t count)
{
	struct scull_near near;
	ssize_t ret, more;
	size_t left;

	if (pos >= store->limit)
		return count ? -EFBIG : 0;
	count = min_t(u64, count, store->limit - pos);
	if (!scull_store_near(store, pos, count, &near))
		return scull_store_write_far(store, pos, buf, count);
	if (!access_ok(buf, count))
		return -EFAULT;
	left = __copy_from_user(near.place, buf, near.len);
	ret = scull_store_overwritten(store, near.place, pos, near.len,
				      near.len - left);
	if (near.rest && !left) {
		left = __copy_from_user(near.next, buf + near.len, near.rest);
		more = scull_store_overwritten(store, near.next, pos + near.len,
					       near.rest, near.rest - left);
		if (more > 0)
			ret += more;
	}
	if (ret > 0)
		store->size = max_t(loff_t, store->size, pos + ret);
	return ret;
}

/**
 * scull_store_covers - tell whether a write would need no allocation
 * @store:	the store, kept from writers by the caller
 * @pos:	the offset the write would begin at, not negative
 * @count:	how many bytes it would write
 *
 * May sleep, but not for memory.
 *
 * Return: true if every quantum from @pos on for @count bytes exists.
 */
bool scull_store_covers(struct scull_store *store, loff_t pos, size_t count)
{
	struct scull_cursor cur;
	size_t len, done;

	scull_cursor_init(&cur, store, pos);
	for (done = 0; done < count; done += len) {
		if (!scull_cursor_quantum(&cur) || scull_store_interrupted())
			return false;
		len = store->quantum - cur.offset;
		scull_cursor_next(&cur, store);
	}
	return true;
}

/**
 * scull_store_seek_data - find the first stored byte
 * @store:	the store, kept from writers by the caller
 * @pos:	the offset to search from
 *
 * What is told apart is whole quanta: all of an allocated one is data. May
 * sleep.
 *
 * Return: the first offset at or after @pos that is not in a hole, -ENXIO if
 * there is none below the end of the store, -EINTR if the caller was killed.
 */
loff_t scull_store_seek_data(struct scull_store *store, loff_t pos)
{
	struct scull_cursor cur;
	struct scull_set *set;
	unsigned long index;
	u64 found;

	if (pos < 0 || pos >= store->size)
		return -ENXIO;
	scull_cursor_init(&cur, store, pos);
	xa_for_each_start(&store->sets, index, set, cur.index) {
		if (index != cur.index)
			cur.slot = 0;
		while (cur.slot < store->qset && !set->quanta[cur.slot])
			cur.slot++;
		if (cur.slot < store->qset) {
			found = scull_store_offset(store, index, cur.slot);
			if (found >= store->size)
				return -ENXIO;
			return max_t(u64, pos, found);
		}
		if (scull_store_interrupted())
			return -EINTR;
	}
	return -ENXIO;
}

/**
 * scull_store_seek_hole - find the first byte that nobody wrote
 * @store:	the store, kept from writers by the caller
 * @pos:	the offset to search from
 *
 * The end of the store counts as a hole. May sleep.
 *
 * Return: the first offset at or after @pos that is in a hole, -ENXIO if @pos
 * is not below the end of the store, -EINTR if the caller was killed.
 */
loff_t scull_store_seek_hole(struct scull_store *store, loff_t pos)
{
	struct scull_cursor cur;
	u64 found = pos;

	if (pos < 0 || pos >= store->size)
		return -ENXIO;
	scull_cursor_init(&cur, store, pos);
	while (found < store->size && scull_cursor_quantum(&cur)) {
		if (scull_store_interrupted())
			return -EINTR;
		found += store->quantum - cur.offset;
		scull_cursor_next(&cur, store);
	}
	return min_t(u64, found, store->size);
}
