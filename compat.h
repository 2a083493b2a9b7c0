/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernel versions differ. The rest of the driver is written for the
 * newest kernel; each entry here names the version that made the difference
 * and gives older kernels the new name, or both of them a name of ours where
 * that cannot be done.
 */
#ifndef _SCULL_COMPAT_H
#define _SCULL_COMPAT_H

#include <linux/version.h>

#define SCULL_KERNEL_BEFORE(major, minor)				\
	(KERNEL_VERSION(major, minor, 0) > LINUX_VERSION_CODE)

/* 5.14: what a terminal knows of its session is in a struct of its own. */
#if SCULL_KERNEL_BEFORE(5, 14)
#define scull_tty_lock(tty) (&(tty)->ctrl_lock)
#define scull_tty_session(tty) ((tty)->session)
#else
#define scull_tty_lock(tty) (&(tty)->ctrl.lock)
#define scull_tty_session(tty) ((tty)->ctrl.session)
#endif

/* 5.14: an iterator keeps what kind it is apart from its direction. */
#include <linux/uio.h>

/**
 * scull_iter_turn - make an iterator read what it was to write, or the reverse
 * @iter:	the iterator
 *
 * Return: can it be done? A pipe, which old kernels splice into, goes one way.
 */
static inline bool scull_iter_turn(struct iov_iter *iter)
{
#if SCULL_KERNEL_BEFORE(6, 5)
	if (iov_iter_is_pipe(iter))
		return false;
#endif
#if SCULL_KERNEL_BEFORE(5, 14)
	iter->type ^= WRITE;
#else
	iter->data_source = !iter->data_source;
#endif
	return true;
}

/*
 * 6.0: an iterator over one buffer of user space needs no array. The array that
 * older ones need lives as long as the block that makes the iterator.
 */
#if SCULL_KERNEL_BEFORE(6, 0)
#include <linux/uio.h>

static inline void scull_iov_iter_ubuf(struct iov_iter *iter,
				       unsigned int direction,
				       struct iovec *array, void __user *buf,
				       size_t count)
{
	array->iov_base = buf;
	array->iov_len = count;
	iov_iter_init(iter, direction, array, 1, count);
}

#define iov_iter_ubuf(iter, direction, buf, count)			\
	scull_iov_iter_ubuf(iter, direction, &(struct iovec) { }, buf, count)
#endif

/*
 * 6.2: the directions of an iterator have names of their own. The stable
 * updates of older kernels brought them there, too.
 */
#if SCULL_KERNEL_BEFORE(6, 2)
#include <linux/uio.h>

#ifndef ITER_DEST
#define ITER_DEST READ
#define ITER_SOURCE WRITE
#endif
#endif

/* 6.4: a class and its attributes are constant to what shows and stores them. */
#if SCULL_KERNEL_BEFORE(6, 4)
#define scull_const_class
#else
#define scull_const_class const
#endif

/* 6.5: a device without a page cache is spliced from by copying. */
#if SCULL_KERNEL_BEFORE(6, 5)
#define copy_splice_read generic_file_splice_read
#endif

#endif /* _SCULL_COMPAT_H */
