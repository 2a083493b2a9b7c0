// SPDX-License-Identifier: GPL-2.0
/*
 * scullpipe: a FIFO of bytes that every opener shares. Readers wait for data,
 * writers for room, and at most scull_p_buffer bytes are under way.
 *
 * A pipe has two ends. Calls at one end go one after the other, under the lock
 * of that end, but the two ends work at the same time: each owns one index of
 * the ring buffer and only reads the other's.
 *
 * Bytes are not torn. The writer stores an index with release semantics after
 * the bytes it covers are in the buffer, and the reader loads it with acquire
 * semantics before it copies them out; the reader's index does the same for the
 * room that the writer overwrites. A write of at most PIPE_BUF bytes is copied
 * under the lock and published with a single store.
 *
 * No wakeup is lost. Who has to wait queues himself at his end, passes a full
 * barrier (in prepare_to_wait_exclusive(), in scull_pipe_poll(), for fsync() in
 * prepare_to_wait_event()) and looks at the other end's index again before he
 * sleeps. Who publishes an index stores it, passes a full barrier (the smp_mb()
 * in scull_pipe_publish()) and looks whether somebody is queued. So at least one
 * of them sees what the other did. Whether the ring was empty or full before
 * says nothing here: the other end may have looked before or after it was.
 *
 * Nobody is stranded. Waits are exclusive, one publish wakes at most one waiter,
 * and a waiter's own wake function lets a wake pass by to the next in the queue
 * if he could not use it: writers need different amounts of room. What was
 * published may be enough for more than one. So every call looks when it leaves,
 * whether satisfied, failed or interrupted, and wakes the next at its own end if
 * there is something left to use.
 *
 * Few are woken for nothing. Who was woken, or watches before he goes to sleep,
 * is coming and has a mark at his end. As a rule nobody else there is woken
 * while it stands: mostly he can use all that is published meanwhile. A later
 * mark takes the place of an earlier one. Who arrives and finds his own clears
 * it, passes a full barrier, and owes a look for all who wait: when his call
 * leaves, or before he sleeps. He clears it after he has queued himself, so
 * nobody sleeps under his own mark.
 *
 * That strands nobody either. Calls at one end only use up what the other end
 * published, so what counts is the last publish. Who made it passed a barrier
 * and then saw a mark, or woke somebody and so set one. Whoever clears the last
 * mark does so after that: past his own barrier he sees what was published and
 * who is queued, and no mark keeps him from waking the next.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "compat.h"
#include "internal.h"
#include "ring.h"
#include "trace.h"

/*
 * How many bytes a long copy moves before it publishes them, so that the other
 * end can work meanwhile. At least PIPE_BUF, so that what must be whole is one
 * piece. Measured: smaller ones cost wakeups, larger ones let the other end wait.
 */
#define SCULL_PIPE_PIECE	8192

/*
 * How often a call looks at the other end before it goes to sleep: the most
 * there is, and the most in a row without seeing a call there. The latter lasts
 * about as long as it takes to return from one call and make the next; both are
 * less than going to sleep and being woken cost.
 */
#define SCULL_PIPE_SPINS	500
#define SCULL_PIPE_GAP		50

/**
 * struct scull_pipe_end - one end of a pipe
 * @lock:	held by the call that is moving bytes at this end
 * @index:	where in the ring that call goes on; changed under @lock, read
 *		by the other end without it
 * @seen:	the other end's index when it was last looked at from here, under
 *		@lock
 * @moved:	bytes that ever went through this end; changed under @lock
 * @coming:	a waiter who was woken or is about to sleep, until he has
 *		arrived; of several, the last. Only he himself clears it
 * @wait:	calls that wait for the other end's index
 * @poll:	pollers of this end
 * @fasync:	who wants SIGIO when this end can go on
 * @opens:	open files that may use this end; changed under the pipe's lock
 * @opened:	how many there ever were while the pipe was open; likewise
 *
 * What each call at this end writes lies in one cache line, what each call at
 * the other end reads in another, which hardly ever changes.
 */
struct scull_pipe_end {
	struct mutex lock;	/* @index, @seen, @moved */
	unsigned int index;
	unsigned int seen;
	atomic64_t moved;
	const struct scull_pipe_waiter *coming;

	wait_queue_head_t wait ____cacheline_aligned_in_smp;
	wait_queue_head_t poll;
	struct fasync_struct *fasync;
	unsigned int opens;
	unsigned int opened;
} ____cacheline_aligned_in_smp;

/**
 * struct scull_pipe - a FIFO
 * @minor:	its entry
 * @lock:	orders opens and closes; guards the fields of this struct that
 *		follow, which do not change while a file is open, but for @opens
 * @buffer:	the ring; NULL while nobody has the pipe open
 * @capacity:	bytes in @buffer
 * @unit:	a write of at most this many bytes is never split
 * @opens:	open files
 * @meet:	opens that wait for the other end to be opened
 * @sync:	fsync() calls, which wait for readers
 * @reader:	the end that bytes leave by; its index is called tail
 * @writer:	the end that bytes enter by; its index is called head
 */
struct scull_pipe {
	struct scull_minor *minor;
	struct mutex lock;	/* opens and closes */
	char *buffer;
	unsigned int capacity;
	unsigned int unit;
	unsigned int opens;
	wait_queue_head_t meet;
	wait_queue_head_t sync;
	struct scull_pipe_end reader;
	struct scull_pipe_end writer;
};

/* Where an end is. What it published may be used after this. */
static unsigned int scull_pipe_index(struct scull_pipe_end *end)
{
	/* Pairs with the release in scull_pipe_publish(). */
	return smp_load_acquire(&end->index);
}

/*
 * Bytes that the reader can take, if he holds his lock. He looks at the writer's
 * index only if what he saw of it last leaves him less than he wants: while the
 * writer is at work, each look costs both of them a cache miss.
 */
static unsigned int scull_pipe_data(struct scull_pipe *pipe, size_t wanted)
{
	struct scull_pipe_end *end = &pipe->reader;
	unsigned int data = scull_ring_used(pipe->capacity, end->seen,
					    end->index);

	if (data >= wanted)
		return data;
	end->seen = scull_pipe_index(&pipe->writer);
	return scull_ring_used(pipe->capacity, end->seen, end->index);
}

/* Bytes that the writer can put, likewise. */
static unsigned int scull_pipe_room(struct scull_pipe *pipe, size_t wanted)
{
	struct scull_pipe_end *end = &pipe->writer;
	unsigned int capacity = pipe->capacity;
	unsigned int room = capacity -
			    scull_ring_used(capacity, end->index, end->seen);

	if (room >= wanted)
		return room;
	end->seen = scull_pipe_index(&pipe->reader);
	return capacity - scull_ring_used(capacity, end->index, end->seen);
}

/*
 * Bytes in the ring, for any caller. Who owns neither end may see the indices
 * from different moments; what he computes is capped to be at least possible.
 */
static unsigned int scull_pipe_used(struct scull_pipe *pipe)
{
	unsigned int head = scull_pipe_index(&pipe->writer);
	unsigned int tail = scull_pipe_index(&pipe->reader);

	return min(scull_ring_used(pipe->capacity, head, tail), pipe->capacity);
}

/*
 * In FIFO mode: is nobody left at this end? A last write comes before its
 * writer's close, so who sees the writers gone sees all that they wrote if he
 * looks at head after this.
 */
static bool scull_pipe_deserted(const struct scull_pipe_end *end)
{
	/* Pairs with the release in scull_pipe_set_opens(). */
	return scull_p_fifo.value && !smp_load_acquire(&end->opens);
}

static void scull_pipe_set_opens(struct scull_pipe_end *end, unsigned int opens)
{
	/* Pairs with the acquire in scull_pipe_deserted(). */
	smp_store_release(&end->opens, opens);
}

/* Was the pipe unplugged? Who waits is told so. */
static bool scull_pipe_gone(const struct scull_pipe *pipe)
{
	return scull_inject_gone(&pipe->minor->inject);
}

/* Can a read return at once? @need is not used: one byte is enough. */
static bool scull_pipe_readable(struct scull_pipe *pipe, unsigned int need)
{
	return scull_pipe_used(pipe) || scull_pipe_deserted(&pipe->writer);
}

/* Can a write that needs room for @need bytes return at once? */
static bool scull_pipe_writable(struct scull_pipe *pipe, unsigned int need)
{
	return pipe->capacity - scull_pipe_used(pipe) >= need ||
	       scull_pipe_deserted(&pipe->reader);
}

/* Could a call that needs @need bytes, of data or of room, go on now? */
typedef bool scull_pipe_ready_t(struct scull_pipe *pipe, unsigned int need);

/*
 * The bytes of a caller that are still to be moved. Those of read() and write()
 * are at @buf, for an iterator would cost as much as a short copy does.
 */
struct scull_pipe_bytes {
	union {
		struct iov_iter *iter;
		char __user *buf;
	};
	size_t count;
};

/*
 * Copies @len bytes between the ring at @place and the caller, who moves on by as
 * many as it returns; it knows whether he has an iterator. On the way into the
 * ring those it could not copy may be cleared, so @len must all be free space.
 */
typedef size_t scull_pipe_copy_t(struct scull_pipe_bytes *bytes, void *place,
				 size_t len);

/* Moves bytes under the lock of an end; -EAGAIN if it has to wait first. */
typedef ssize_t scull_pipe_move_t(struct scull_pipe *pipe,
				  scull_pipe_copy_t *copy,
				  struct scull_pipe_bytes *bytes,
				  unsigned int need);

/* A call that waits at an end until it is ready. */
struct scull_pipe_waiter {
	struct wait_queue_entry entry;
	struct scull_pipe *pipe;
	struct scull_pipe_end *end;
	scull_pipe_ready_t *ready;
	unsigned int need;
};

static bool scull_pipe_ready(const struct scull_pipe_waiter *waiter)
{
	return waiter->ready(waiter->pipe, waiter->need);
}

/* Lets a wake pass to the next in the queue if this waiter cannot use it. */
static int scull_pipe_wake_function(struct wait_queue_entry *entry,
				    unsigned int mode, int flags, void *key)
{
	struct scull_pipe_waiter *waiter =
		container_of(entry, struct scull_pipe_waiter, entry);

	if (!scull_pipe_ready(waiter) && !scull_pipe_gone(waiter->pipe))
		return 0;
	/* Before he leaves the queue, so that he finds it when he arrives. */
	WRITE_ONCE(waiter->end->coming, waiter);
	return autoremove_wake_function(entry, mode, flags, key);
}

/*
 * A waiter who may have been coming has arrived: others may be woken again. From
 * here on he is bound to call scull_pipe_wake().
 */
static void scull_pipe_arrive(const struct scull_pipe_waiter *waiter)
{
	struct scull_pipe_end *end = waiter->end;

	/* Pairs with the barrier of who publishes, then looks who is coming. */
	if (READ_ONCE(end->coming) == waiter)
		cmpxchg(&end->coming, waiter, NULL);
}

/*
 * Is anybody in a queue? Asked after a full barrier if something was published.
 */
static bool scull_pipe_awaited(struct wait_queue_head *queue)
{
	/* Pairs with the barrier of whoever queues himself, then looks. */
	return waitqueue_active(queue);
}

/*
 * Wakes the first of those who wait at an end and can go on, unless somebody is
 * coming. Called after a publish, by whoever leaves, and by whoever is about to
 * sleep: see "Nobody is stranded" above.
 */
static void scull_pipe_wake(struct scull_pipe_end *end)
{
	if (scull_pipe_awaited(&end->wait) && !READ_ONCE(end->coming))
		wake_up_interruptible(&end->wait);
}

/* What poll() says of the reader's end. */
static __poll_t scull_pipe_reader_events(struct scull_pipe *pipe)
{
	bool deserted = scull_pipe_deserted(&pipe->writer);

	if (scull_pipe_used(pipe))
		return EPOLLIN | EPOLLRDNORM;
	if (deserted && READ_ONCE(pipe->writer.opened))
		return EPOLLHUP;
	return 0;
}

/*
 * What poll() says of the writer's end: that he may write only if a write that
 * must be whole finds room.
 */
static __poll_t scull_pipe_writer_events(struct scull_pipe *pipe)
{
	__poll_t events = 0;

	if (pipe->capacity - scull_pipe_used(pipe) >= pipe->unit)
		events |= EPOLLOUT | EPOLLWRNORM;
	if (scull_pipe_deserted(&pipe->reader))
		events |= EPOLLERR;
	return events;
}

static __poll_t scull_pipe_events(struct scull_pipe *pipe,
				  const struct scull_pipe_end *end)
{
	return end == &pipe->reader ? scull_pipe_reader_events(pipe) :
				      scull_pipe_writer_events(pipe);
}

/*
 * Tells pollers of an end what is true now and nothing else: some take it for
 * the answer and ask no more. @nr of those who want only one told are; 0 is all.
 */
static void scull_pipe_tell(struct scull_pipe *pipe, struct scull_pipe_end *end,
			    int nr)
{
	__poll_t events = scull_pipe_events(pipe, end);

	if (events)
		__wake_up(&end->poll, TASK_INTERRUPTIBLE, nr,
			  poll_to_key(events));
}

/* Does anybody want SIGIO? */
static bool scull_pipe_wants_signal(const struct scull_pipe_end *end)
{
	/*
	 * fasync_helper() stores the pointer plainly, under a lock that is not for
	 * us. kill_fasync() looks again, under RCU.
	 */
	return data_race(READ_ONCE(end->fasync));
}

static void scull_pipe_signal(struct scull_pipe *pipe,
			      struct scull_pipe_end *end)
{
	if (scull_pipe_wants_signal(end))
		kill_fasync(&end->fasync, SIGIO,
			    end == &pipe->reader ? POLL_IN : POLL_OUT);
}

static noinline void scull_pipe_notify_all(struct scull_pipe *pipe,
					   struct scull_pipe_end *far)
{
	scull_pipe_wake(far);
	if (scull_pipe_awaited(&far->poll))
		scull_pipe_tell(pipe, far, 1);
	scull_pipe_signal(pipe, far);
	if (scull_pipe_awaited(&pipe->sync))
		wake_up_interruptible_all(&pipe->sync);
}

/*
 * Tells the far end, after a publish, that its calls may be able to go on.
 * Mostly nobody has asked to be told.
 */
static void scull_pipe_notify(struct scull_pipe *pipe,
			      struct scull_pipe_end *far)
{
	if (scull_pipe_awaited(&far->wait) || scull_pipe_awaited(&far->poll) ||
	    scull_pipe_wants_signal(far) || scull_pipe_awaited(&pipe->sync))
		scull_pipe_notify_all(pipe, far);
}

/*
 * Moves an end's index past @len bytes, which are now the other end's: the data
 * of a reader, or the room of a writer. The barrier is the one that every waiter
 * passes between queueing himself and looking at the index again; the caller
 * notifies the other end after it.
 */
static void scull_pipe_publish(struct scull_pipe *pipe,
			       struct scull_pipe_end *end, unsigned int len)
{
	unsigned int next = scull_ring_advance(pipe->capacity, end->index, len);

	lockdep_assert_held(&end->lock);
	/* Pairs with the acquire in scull_pipe_index(). */
	smp_store_release(&end->index, next);
	atomic64_set(&end->moved, atomic64_read(&end->moved) + len);
	/* Pairs with the barrier of each waiter: see "No wakeup is lost". */
	smp_mb();
}

/*
 * Watches for a moment whether the other end, being inside a call or between
 * two, is about to publish something. Sleeping and being woken takes far longer.
 * One at an end is enough for that; he counts as coming, so that those who sleep
 * are not woken for what he is about to take. They depend on him: he is not
 * preempted.
 */
static bool scull_pipe_spin(const struct scull_pipe_waiter *waiter,
			    struct scull_pipe_end *far)
{
	struct scull_pipe_end *end = waiter->end;
	unsigned int i, seen = 0;
	bool ready;

	/* On one processor the other end cannot be at work while we are. */
	if (num_online_cpus() == 1 || READ_ONCE(end->coming))
		return false;
	preempt_disable();
	WRITE_ONCE(end->coming, waiter);
	for (i = 0; i < SCULL_PIPE_SPINS; i++) {
		ready = scull_pipe_ready(waiter);
		if (ready || need_resched())
			break;
		if (mutex_is_locked(&far->lock))
			seen = i;
		else if (i - seen >= SCULL_PIPE_GAP)
			break;
		cpu_relax();
	}
	scull_pipe_arrive(waiter);
	preempt_enable();
	return ready;
}

/* Sleeps until somebody wakes the waiter, and lets those see it who watch. */
static void scull_pipe_sleep(const struct scull_pipe_waiter *waiter)
{
	const struct scull_minor *minor = waiter->pipe->minor;
	bool writes = waiter->end == &waiter->pipe->writer;

	pr_debug("%s: a %s sleeps, it needs %u bytes\n", minor->name,
		 writes ? "writer" : "reader", waiter->need);
	trace_scull_pipe_sleep(minor, writes, waiter->need);
	scull_count(&minor->stats->sleeps);
	schedule();
	/* He may be back before his waker has taken him off the queue. */
	if (!signal_pending(current))
		scull_count(&minor->stats->wakeups);
	trace_scull_pipe_wake(minor, writes);
}

/*
 * Waits at @end, holding no lock, until the waiter is ready or has a signal, or
 * the pipe is gone.
 */
static noinline int scull_pipe_wait(struct scull_pipe *pipe,
				    struct scull_pipe_end *end,
				    struct scull_pipe_end *far,
				    scull_pipe_ready_t *ready,
				    unsigned int need)
{
	struct scull_pipe_waiter waiter = {
		.pipe	= pipe,
		.end	= end,
		.ready	= ready,
		.need	= need,
	};
	int err = 0;

	if (scull_pipe_spin(&waiter, far))
		return 0;
	init_wait_entry(&waiter.entry, WQ_FLAG_EXCLUSIVE);
	waiter.entry.func = scull_pipe_wake_function;
	for (;;) {
		prepare_to_wait_exclusive(&end->wait, &waiter.entry,
					  TASK_INTERRUPTIBLE);
		scull_pipe_arrive(&waiter);
		if (scull_pipe_gone(pipe)) {
			err = -ENODEV;
			break;
		}
		if (scull_pipe_ready(&waiter))
			break;
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		scull_pipe_wake(end);
		scull_pipe_sleep(&waiter);
	}
	finish_wait(&end->wait, &waiter.entry);
	scull_pipe_arrive(&waiter);
	return err;
}

/*
 * Begins to move bytes at an end. A caller that must not wait at all is turned
 * away if another call is moving bytes; O_NONBLOCK is not that strict, because
 * who was told that he can go on must find out what the other call left.
 */
static int scull_pipe_lock(struct scull_pipe_end *end, bool nowait)
{
	if (nowait)
		return mutex_trylock(&end->lock) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(&end->lock) ? -ERESTARTSYS : 0;
}

static __always_inline size_t
scull_pipe_to_user(struct scull_pipe_bytes *bytes, void *place, size_t len)
{
	len -= __copy_to_user(bytes->buf, place, len);
	bytes->buf += len;
	return len;
}

static __always_inline size_t
scull_pipe_from_user(struct scull_pipe_bytes *bytes, void *place, size_t len)
{
	len -= __copy_from_user(place, bytes->buf, len);
	bytes->buf += len;
	return len;
}

static __always_inline size_t
scull_pipe_to_iter(struct scull_pipe_bytes *bytes, void *place, size_t len)
{
	return copy_to_iter(place, len, bytes->iter);
}

static __always_inline size_t
scull_pipe_from_iter(struct scull_pipe_bytes *bytes, void *place, size_t len)
{
	return copy_from_iter(place, len, bytes->iter);
}

/*
 * Takes a piece of what is in the ring, not past its wrap. Bytes leave the ring
 * only once they are delivered. Returns how many, or -EAGAIN if there was
 * nothing, 0 if there will be nothing, -EFAULT if they could not be delivered.
 */
static __always_inline ssize_t
scull_pipe_take(struct scull_pipe *pipe, scull_pipe_copy_t *copy,
		struct scull_pipe_bytes *to, unsigned int need)
{
	unsigned int offset = scull_ring_offset(pipe->capacity,
						pipe->reader.index);
	bool deserted = scull_pipe_deserted(&pipe->writer);
	size_t len, copied;

	len = min_t(size_t, to->count, SCULL_PIPE_PIECE);
	len = min_t(size_t, len, scull_pipe_data(pipe, len));
	if (!len)
		return deserted ? 0 : -EAGAIN;
	len = min_t(size_t, len, pipe->capacity - offset);
	copied = copy(to, pipe->buffer + offset, len);
	if (!copied)
		return -EFAULT;
	to->count -= copied;
	scull_pipe_publish(pipe, &pipe->reader, copied);
	scull_pipe_notify(pipe, &pipe->writer);
	return copied;
}

/*
 * How many bytes the writer may put until the pipe holds as many as it is allowed
 * to, which is for who makes faults to say.
 */
static size_t scull_pipe_left(struct scull_pipe *pipe)
{
	s64 limit = scull_inject_limit(&pipe->minor->inject);
	unsigned int used = scull_pipe_used(pipe);

	return limit > used ? min_t(u64, limit - used, SIZE_MAX) : 0;
}

/*
 * Puts a piece of what fits into the ring, not past its wrap unless that splits
 * the first @need bytes, and nothing unless there is room for those. They are
 * published at once, and if they are the whole write and cannot all be read none
 * of them is. Returns how many bytes, or -EAGAIN if there was no room, -EPIPE if
 * nobody is left to read, -EFAULT if the bytes could not be read.
 */
static __always_inline ssize_t
scull_pipe_put(struct scull_pipe *pipe, scull_pipe_copy_t *copy,
	       struct scull_pipe_bytes *from, unsigned int need)
{
	unsigned int offset = scull_ring_offset(pipe->capacity,
						pipe->writer.index);
	size_t len, left, copied;

	if (scull_pipe_deserted(&pipe->reader))
		return -EPIPE;
	len = min_t(size_t, from->count, SCULL_PIPE_PIECE);
	len = min_t(size_t, len, scull_pipe_room(pipe, len));
	if (scull_injecting()) {
		left = scull_pipe_left(pipe);
		if (!left)
			return -ENOSPC;
		len = min(len, left);
		need = min_t(size_t, need, left);
	}
	if (len < need)
		return -EAGAIN;
	len = min_t(size_t, len, pipe->capacity - offset);
	copied = copy(from, pipe->buffer + offset, len);
	if (copied < need) {
		if (copied == len)
			copied += copy(from, pipe->buffer, need - len);
		if (!copied || (copied < need && need == from->count))
			return -EFAULT;
	}
	from->count -= copied;
	scull_pipe_publish(pipe, &pipe->writer, copied);
	scull_pipe_notify(pipe, &pipe->reader);
	return copied;
}

/*
 * Moves pieces at an end, which is locked, until the caller has all he wants or
 * the next piece would have to wait. Returns how many bytes, or what @move said
 * if there were none.
 */
static __always_inline ssize_t
scull_pipe_move_pieces(struct scull_pipe *pipe, scull_pipe_move_t *move,
		       scull_pipe_copy_t *copy, struct scull_pipe_bytes *bytes,
		       unsigned int need)
{
	ssize_t moved, done = 0;

	for (;;) {
		moved = move(pipe, copy, bytes, need);
		if (moved <= 0)
			return done ? done : moved;
		done += moved;
		if (!bytes->count || signal_pending(current))
			return done;
		need = 1;
		cond_resched();
	}
}

/*
 * Moves bytes at an end, after waiting until that is possible if it may wait: it
 * does not with O_NONBLOCK, and @nowait is stricter. Inlined, so that what
 * differs between the ends is known at compile time.
 */
static __always_inline ssize_t
scull_pipe_transfer(struct scull_pipe *pipe, struct scull_pipe_end *end,
		    struct scull_pipe_end *far, scull_pipe_ready_t *ready,
		    scull_pipe_move_t *move, scull_pipe_copy_t *copy,
		    const struct file *file, bool nowait,
		    struct scull_pipe_bytes *bytes, unsigned int need)
{
	ssize_t ret;

	if (!bytes->count)
		return 0;
	for (;;) {
		ret = scull_pipe_lock(end, nowait);
		if (ret)
			break;
		ret = scull_pipe_move_pieces(pipe, move, copy, bytes, need);
		mutex_unlock(&end->lock);
		if (ret != -EAGAIN || nowait || file->f_flags & O_NONBLOCK)
			break;
		ret = scull_pipe_wait(pipe, end, far, ready, need);
		if (ret)
			break;
	}
	scull_pipe_wake(end);
	return ret;
}

static __always_inline ssize_t
scull_pipe_get(const struct file *file, bool nowait, scull_pipe_copy_t *copy,
	       struct scull_pipe_bytes *to)
{
	struct scull_pipe *pipe = file->private_data;
	size_t count = to->count;
	ssize_t ret;

	ret = scull_pipe_transfer(pipe, &pipe->reader, &pipe->writer,
				  scull_pipe_readable, scull_pipe_take, copy,
				  file, nowait, to, 1);
	trace_scull_read(pipe->minor, 0, count, ret);
	scull_count_transfer(pipe->minor->stats, &pipe->minor->stats->read,
			     count, ret);
	return ret;
}

static __always_inline ssize_t
scull_pipe_give(const struct file *file, bool nowait, scull_pipe_copy_t *copy,
		struct scull_pipe_bytes *from)
{
	struct scull_pipe *pipe = file->private_data;
	size_t count = from->count;
	unsigned int need = min_t(size_t, count, pipe->unit);
	ssize_t ret;

	ret = scull_pipe_transfer(pipe, &pipe->writer, &pipe->reader,
				  scull_pipe_writable, scull_pipe_put, copy,
				  file, nowait, from, need);
	trace_scull_write(pipe->minor, 0, count, ret);
	scull_count_transfer(pipe->minor->stats, &pipe->minor->stats->write,
			     count, ret);
	if (ret == -EPIPE)
		send_sig(SIGPIPE, current, 0);
	return ret;
}

/**
 * scull_pipe_minor - the device of an open pipe
 * @file:	the open file
 *
 * Return: the device.
 */
struct scull_minor *scull_pipe_minor(const struct file *file)
{
	const struct scull_pipe *pipe = file->private_data;

	return pipe->minor;
}

/* As scull_read() and scull_write(): quicker than the general way below. */
static ssize_t scull_pipe_read(struct file *file, char __user *buf,
			       size_t count, loff_t *pos)
{
	struct scull_pipe_bytes to = { .buf = buf, .count = count };

	if (scull_injecting())
		return scull_inject_read(file, buf, count, pos);
	if (!access_ok(buf, count))
		return -EFAULT;
	return scull_pipe_get(file, false, scull_pipe_to_user, &to);
}

static ssize_t scull_pipe_write(struct file *file, const char __user *buf,
				size_t count, loff_t *pos)
{
	struct scull_pipe_bytes from = {
		.buf	= (char __user *)buf,
		.count	= count,
	};

	if (scull_injecting())
		return scull_inject_write(file, buf, count, pos);
	if (!access_ok(buf, count))
		return -EFAULT;
	return scull_pipe_give(file, false, scull_pipe_from_user, &from);
}

static ssize_t scull_pipe_get_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct scull_pipe_bytes bytes = {
		.iter	= to,
		.count	= iov_iter_count(to),
	};

	return scull_pipe_get(iocb->ki_filp, iocb->ki_flags & IOCB_NOWAIT,
			      scull_pipe_to_iter, &bytes);
}

static ssize_t scull_pipe_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	if (scull_injecting())
		return scull_inject_transfer(scull_pipe_minor(iocb->ki_filp),
					     SCULL_OP_READ, SCULL_INJECT_STREAM,
					     iocb, to, scull_pipe_get_iter);
	return scull_pipe_get_iter(iocb, to);
}

static ssize_t scull_pipe_give_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct scull_pipe_bytes bytes = {
		.iter	= from,
		.count	= iov_iter_count(from),
	};

	return scull_pipe_give(iocb->ki_filp, iocb->ki_flags & IOCB_NOWAIT,
			       scull_pipe_from_iter, &bytes);
}

static ssize_t scull_pipe_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	if (scull_injecting())
		return scull_inject_transfer(scull_pipe_minor(iocb->ki_filp),
					     SCULL_OP_WRITE,
					     SCULL_INJECT_STREAM, iocb, from,
					     scull_pipe_give_iter);
	return scull_pipe_give_iter(iocb, from);
}

static __poll_t scull_pipe_poll(struct file *file, poll_table *wait)
{
	struct scull_pipe *pipe = file->private_data;
	__poll_t mask = 0;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &pipe->reader.poll, wait);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &pipe->writer.poll, wait);
	/* Pairs with smp_mb() in scull_pipe_publish(). */
	smp_mb();

	if (file->f_mode & FMODE_READ)
		mask |= scull_pipe_reader_events(pipe);
	if (file->f_mode & FMODE_WRITE)
		mask |= scull_pipe_writer_events(pipe);
	if (scull_injecting())
		mask = scull_inject_poll(pipe->minor, file, mask);
	return mask;
}

static int scull_pipe_fasync(int fd, struct file *file, int on)
{
	struct scull_pipe *pipe = file->private_data;
	int ret = 0;

	if (file->f_mode & FMODE_READ)
		ret = fasync_helper(fd, file, on, &pipe->reader.fasync);
	if (ret < 0 || !(file->f_mode & FMODE_WRITE))
		return ret;
	ret = fasync_helper(fd, file, on, &pipe->writer.fasync);
	if (ret < 0 && file->f_mode & FMODE_READ)
		fasync_helper(-1, file, 0, &pipe->reader.fasync);
	return ret;
}

/* Have the first @target bytes ever written left the pipe? */
static bool scull_pipe_synced(struct scull_pipe *pipe, s64 target)
{
	return atomic64_read(&pipe->reader.moved) >= target;
}

/*
 * Waits until all that is in the ring now has been read; in FIFO mode no longer
 * than there are readers.
 */
static int scull_pipe_fsync(struct file *file, loff_t start, loff_t end,
			    int datasync)
{
	struct scull_pipe *pipe = file->private_data;
	s64 target;
	int err;

	if (scull_injecting()) {
		err = scull_inject_call(pipe->minor, SCULL_OP_FSYNC, file);
		if (err)
			return err;
	}
	target = atomic64_read(&pipe->writer.moved);
	err = wait_event_interruptible(pipe->sync,
				       scull_pipe_synced(pipe, target) ||
				       scull_pipe_deserted(&pipe->reader) ||
				       scull_pipe_gone(pipe));
	if (err)
		return err;
	if (scull_pipe_gone(pipe))
		return -ENODEV;
	return scull_pipe_synced(pipe, target) ? 0 : -EPIPE;
}

static void scull_pipe_end_reset(struct scull_pipe_end *end)
{
	WARN_ON_ONCE(end->coming);
	end->index = 0;
	end->seen = 0;
	atomic64_set(&end->moved, 0);
	end->opened = 0;
}

/* The first open brings the buffer, of the size that is set now. */
static int scull_pipe_allocate(struct scull_pipe *pipe)
{
	unsigned int capacity = READ_ONCE(scull_p_buffer.value);

	lockdep_assert_held(&pipe->lock);
	pipe->buffer = kvmalloc(capacity, SCULL_GFP);
	if (!pipe->buffer)
		return -ENOMEM;
	pipe->capacity = capacity;
	pipe->unit = min_t(unsigned int, capacity, PIPE_BUF);
	scull_pipe_end_reset(&pipe->reader);
	scull_pipe_end_reset(&pipe->writer);
	pr_debug("%s: a buffer of %u bytes\n", pipe->minor->name, capacity);
	return 0;
}

/*
 * In FIFO mode an open waits until the other end was opened too, be it closed
 * again by now: @met says how often it had been opened before this open.
 */
static int scull_pipe_meet(struct scull_pipe *pipe,
			   const struct scull_pipe_end *far, unsigned int met)
{
	int err = wait_event_interruptible(pipe->meet,
					   READ_ONCE(far->opened) != met ||
					   scull_pipe_gone(pipe));

	if (err)
		return err;
	return scull_pipe_gone(pipe) ? -ENODEV : 0;
}

static void scull_pipe_open_end(struct scull_pipe_end *end)
{
	scull_pipe_set_opens(end, end->opens + 1);
	WRITE_ONCE(end->opened, end->opened + 1);
}

/*
 * Closes @end for one open file. In FIFO mode the last one leaves the far end
 * nothing to wait for.
 */
static void scull_pipe_close_end(struct scull_pipe *pipe,
				 struct scull_pipe_end *end,
				 struct scull_pipe_end *far)
{
	lockdep_assert_held(&pipe->lock);
	scull_pipe_set_opens(end, end->opens - 1);
	if (!scull_pipe_deserted(end))
		return;
	wake_up_interruptible_all(&far->wait);
	scull_pipe_tell(pipe, far, 0);
	wake_up_interruptible_all(&pipe->sync);
	scull_pipe_signal(pipe, far);
}

/* Undoes scull_pipe_admit(). */
static void scull_pipe_leave(struct scull_pipe *pipe, const struct file *file)
{
	mutex_lock(&pipe->lock);
	if (file->f_mode & FMODE_WRITE)
		scull_pipe_close_end(pipe, &pipe->writer, &pipe->reader);
	if (file->f_mode & FMODE_READ)
		scull_pipe_close_end(pipe, &pipe->reader, &pipe->writer);
	if (!--pipe->opens) {
		kvfree(pipe->buffer);
		pipe->buffer = NULL;
	}
	mutex_unlock(&pipe->lock);
}

static int scull_pipe_release(struct inode *inode, struct file *file)
{
	struct scull_pipe *pipe = file->private_data;
	struct scull_minor *minor = pipe->minor;

	scull_pipe_leave(pipe, file);
	scull_count(&minor->stats->closes);
	scull_minor_drop(minor);
	return 0;
}

/*
 * Admits one more open file. Returns 0; 1 if the file's opener has to wait until
 * the far end was opened more often than @met says; or an error.
 */
static int scull_pipe_admit(struct scull_pipe *pipe, struct file *file,
			    unsigned int *met)
{
	bool reads = file->f_mode & FMODE_READ;
	bool writes = file->f_mode & FMODE_WRITE;
	struct scull_pipe_end *far = reads ? &pipe->writer : &pipe->reader;
	bool alone = reads != writes && scull_pipe_deserted(far);
	int err;

	if (alone && writes && file->f_flags & O_NONBLOCK)
		return -ENXIO;
	if (!pipe->opens) {
		err = scull_pipe_allocate(pipe);
		if (err)
			return err;
	}
	pipe->opens++;
	if (reads)
		scull_pipe_open_end(&pipe->reader);
	if (writes)
		scull_pipe_open_end(&pipe->writer);
	wake_up_interruptible_all(&pipe->meet);
	*met = far->opened;
	return alone && !(file->f_flags & O_NONBLOCK);
}

static int scull_pipe_open(struct inode *inode, struct file *file)
{
	struct scull_pipe *pipe = file->private_data;
	unsigned int met;
	int ret;

	stream_open(inode, file);
	file->f_mode |= FMODE_NOWAIT;
	if (mutex_lock_interruptible(&pipe->lock))
		return -ERESTARTSYS;
	ret = scull_pipe_admit(pipe, file, &met);
	mutex_unlock(&pipe->lock);
	if (ret <= 0)
		return ret;
	ret = scull_pipe_meet(pipe, file->f_mode & FMODE_READ ? &pipe->writer :
			      &pipe->reader, met);
	if (ret)
		scull_pipe_leave(pipe, file);
	return ret;
}

/* private_data is what scull_pipe_create() made. */
const struct file_operations scull_pipe_fops = {
	.owner		= THIS_MODULE,
	.open		= scull_pipe_open,
	.release	= scull_pipe_release,
	.read		= scull_pipe_read,
	.write		= scull_pipe_write,
	.read_iter	= scull_pipe_read_iter,
	.write_iter	= scull_pipe_write_iter,
	.poll		= scull_pipe_poll,
	.fasync		= scull_pipe_fasync,
	.fsync		= scull_pipe_fsync,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.unlocked_ioctl	= scull_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= scull_compat_ioctl,
#endif
};

static void scull_pipe_end_init(struct scull_pipe_end *end)
{
	mutex_init(&end->lock);
	init_waitqueue_head(&end->wait);
	init_waitqueue_head(&end->poll);
}

/**
 * scull_pipe_state - tell how full a pipe is and who has it open
 * @device:	the pipe
 * @state:	where @capacity, @used, @readers and @writers are stored; of a pipe
 *		that nobody has open, @capacity is what the next open will get
 *
 * May sleep.
 *
 * Return: 0, or -EINTR if the caller was killed while he waited.
 */
int scull_pipe_state(void *device, struct scull_state *state)
{
	struct scull_pipe *pipe = device;

	if (mutex_lock_killable(&pipe->lock))
		return -EINTR;
	if (pipe->buffer) {
		state->capacity = pipe->capacity;
		state->used = scull_pipe_used(pipe);
	} else {
		state->capacity = READ_ONCE(scull_p_buffer.value);
		state->used = 0;
	}
	state->readers = pipe->reader.opens;
	state->writers = pipe->writer.opens;
	mutex_unlock(&pipe->lock);
	return 0;
}

static void scull_pipe_end_stir(struct scull_pipe *pipe,
				struct scull_pipe_end *end)
{
	if (!scull_pipe_gone(pipe)) {
		if (scull_pipe_awaited(&end->poll))
			scull_pipe_tell(pipe, end, 0);
		return;
	}
	wake_up_interruptible_all(&end->wait);
	wake_up_poll(&end->poll, EPOLLHUP | EPOLLERR);
	kill_fasync(&end->fasync, SIGIO, POLL_HUP);
}

/**
 * scull_pipe_stir - tell who polls a pipe, or waits for one that is gone
 * @device:	the pipe
 */
void scull_pipe_stir(void *device)
{
	struct scull_pipe *pipe = device;

	scull_pipe_end_stir(pipe, &pipe->reader);
	scull_pipe_end_stir(pipe, &pipe->writer);
	if (!scull_pipe_gone(pipe))
		return;
	wake_up_interruptible_all(&pipe->meet);
	wake_up_interruptible_all(&pipe->sync);
}

/**
 * scull_pipe_create - make a pipe that nobody has open yet
 * @minor:	its entry
 *
 * May sleep.
 *
 * Return: the pipe or an ERR_PTR().
 */
void *scull_pipe_create(struct scull_minor *minor)
{
	struct scull_pipe *pipe = kzalloc(sizeof(*pipe), GFP_KERNEL);

	if (!pipe)
		return ERR_PTR(-ENOMEM);
	pipe->minor = minor;
	mutex_init(&pipe->lock);
	init_waitqueue_head(&pipe->meet);
	init_waitqueue_head(&pipe->sync);
	scull_pipe_end_init(&pipe->reader);
	scull_pipe_end_init(&pipe->writer);
	return pipe;
}

/**
 * scull_pipe_destroy - free a pipe
 * @device:	the pipe, which nobody has open any more
 */
void scull_pipe_destroy(void *device)
{
	kfree(device);
}
