/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints, system scull. A device is named as its node is, and by an
 * array of the same size in each event, so that filters and scripts can compare
 * it without a look elsewhere.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM scull

#if !defined(_SCULL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SCULL_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "internal.h"

/* An open that succeeded or was refused: @ret is 0 or the error. */
TRACE_EVENT(scull_open,
	TP_PROTO(const struct scull_minor *minor, unsigned int flags, int ret),

	TP_ARGS(minor, flags, ret),

	TP_STRUCT__entry(
		__array(char, device, SCULL_NAME_LEN)
		__field(unsigned int, flags)
		__field(int, ret)
	),

	TP_fast_assign(
		memcpy(__entry->device, minor->name, SCULL_NAME_LEN);
		__entry->flags = flags;
		__entry->ret = ret;
	),

	TP_printk("device=%s flags=%#x ret=%d", __entry->device,
		  __entry->flags, __entry->ret)
);

/*
 * A read or a write that has ended: @pos is where it began, 0 for a pipe, @count
 * what it was asked for, @ret how many bytes it moved, or the error.
 */
DECLARE_EVENT_CLASS(scull_transfer,
	TP_PROTO(const struct scull_minor *minor, loff_t pos, size_t count,
		 ssize_t ret),

	TP_ARGS(minor, pos, count, ret),

	TP_STRUCT__entry(
		__array(char, device, SCULL_NAME_LEN)
		__field(loff_t, pos)
		__field(size_t, count)
		__field(ssize_t, ret)
	),

	TP_fast_assign(
		memcpy(__entry->device, minor->name, SCULL_NAME_LEN);
		__entry->pos = pos;
		__entry->count = count;
		__entry->ret = ret;
	),

	TP_printk("device=%s pos=%lld count=%zu ret=%zd", __entry->device,
		  __entry->pos, __entry->count, __entry->ret)
);

DEFINE_EVENT(scull_transfer, scull_read,
	TP_PROTO(const struct scull_minor *minor, loff_t pos, size_t count,
		 ssize_t ret),

	TP_ARGS(minor, pos, count, ret)
);

DEFINE_EVENT(scull_transfer, scull_write,
	TP_PROTO(const struct scull_minor *minor, loff_t pos, size_t count,
		 ssize_t ret),

	TP_ARGS(minor, pos, count, ret)
);

/* A device was emptied: @freed is the bytes of the quanta that it held. */
TRACE_EVENT(scull_trim,
	TP_PROTO(const struct scull_minor *minor, u64 freed),

	TP_ARGS(minor, freed),

	TP_STRUCT__entry(
		__array(char, device, SCULL_NAME_LEN)
		__field(u64, freed)
	),

	TP_fast_assign(
		memcpy(__entry->device, minor->name, SCULL_NAME_LEN);
		__entry->freed = freed;
	),

	TP_printk("device=%s freed=%llu", __entry->device, __entry->freed)
);

#define scull_show_end(end) \
	__print_symbolic(end, { 0, "read" }, { 1, "write" })

/*
 * A call goes to sleep at an end of a pipe, 0 for reading and 1 for writing,
 * until there are @need bytes of data or of room.
 */
TRACE_EVENT(scull_pipe_sleep,
	TP_PROTO(const struct scull_minor *minor, bool end, unsigned int need),

	TP_ARGS(minor, end, need),

	TP_STRUCT__entry(
		__array(char, device, SCULL_NAME_LEN)
		__field(unsigned int, end)
		__field(unsigned int, need)
	),

	TP_fast_assign(
		memcpy(__entry->device, minor->name, SCULL_NAME_LEN);
		__entry->end = end;
		__entry->need = need;
	),

	TP_printk("device=%s end=%s need=%u", __entry->device,
		  scull_show_end(__entry->end), __entry->need)
);

/*
 * The same call, in the same task, is awake again, be it because it can go on or
 * because of a signal.
 */
TRACE_EVENT(scull_pipe_wake,
	TP_PROTO(const struct scull_minor *minor, bool end),

	TP_ARGS(minor, end),

	TP_STRUCT__entry(
		__array(char, device, SCULL_NAME_LEN)
		__field(unsigned int, end)
	),

	TP_fast_assign(
		memcpy(__entry->device, minor->name, SCULL_NAME_LEN);
		__entry->end = end;
	),

	TP_printk("device=%s end=%s", __entry->device,
		  scull_show_end(__entry->end))
);

/* A store, which does not know whose it is, has a new set for @quanta quanta. */
TRACE_EVENT(scull_set_alloc,
	TP_PROTO(unsigned long index, unsigned int quanta),

	TP_ARGS(index, quanta),

	TP_STRUCT__entry(
		__field(unsigned long, index)
		__field(unsigned int, quanta)
	),

	TP_fast_assign(
		__entry->index = index;
		__entry->quanta = quanta;
	),

	TP_printk("index=%lu quanta=%u", __entry->index, __entry->quanta)
);

#endif /* _SCULL_TRACE_H */

/*
 * Found by -I of this directory, which Kbuild gives for trace.c: that holds for a
 * directory in the kernel's tree, outside of it, and full of links.
 */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
