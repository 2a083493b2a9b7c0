/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults on demand: what the calls of a device ask before they do their work. While
 * no device has anything to ask for, that is a branch which is not taken, and a nop
 * where the kernel has jump labels.
 */
#ifndef _SCULL_INJECT_H
#define _SCULL_INJECT_H

#include <linux/compiler.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "rules.h"

struct scull_minor;

/**
 * struct scull_inject - what is to go wrong with a device
 * @mutex:	orders those who change what follows; @lock is for who reads it
 * @armed:	is there anything to ask for? Then @scull_inject_key counts it;
 *		guarded by @mutex
 * @error:	what was wrong with the last rules that were refused, or NULL;
 *		guarded by @mutex
 * @lock:	guards @rules, whose counters each call changes, and @moved
 * @rules:	or NULL; changed under both locks
 * @moved:	bytes that went each way since it is armed, for those rules of a pipe
 *		that begin at an offset; by SCULL_OP_READ and SCULL_OP_WRITE
 * @limit:	bytes that the device may hold, S64_MAX for any number; takes
 *		READ_ONCE(), like the next three
 * @hold:	each call waits
 * @releases:	changes when those who hang or are delayed may go on
 * @gone:	the device was unplugged, and never comes back
 * @wait:	those who are held, hang, are delayed, or poll
 * @again:	stirs pollers who were told "not now"
 */
struct scull_inject {
	struct mutex mutex;	/* what changes it */
	bool armed;
	char *error;
	spinlock_t lock;	/* @rules, @moved */
	struct scull_rules *rules;
	u64 moved[2];
	s64 limit;
	bool hold;
	unsigned int releases;
	bool gone;
	wait_queue_head_t wait;
	struct delayed_work again;
};

DECLARE_STATIC_KEY_FALSE(scull_inject_key);

/**
 * scull_injecting - may a call of any device have to ask?
 *
 * Return: false if no device is armed. Whoever gets true calls the function of this
 * file that is for his operation, which looks at his own device.
 */
static __always_inline bool scull_injecting(void)
{
	return static_branch_unlikely(&scull_inject_key);
}

void scull_inject_init(struct scull_inject *inject);
void scull_inject_exit(struct scull_inject *inject);
void scull_inject_unplug(struct scull_minor *minor);

int scull_inject_call(struct scull_minor *minor, enum scull_op op,
		      const struct file *file);

/* Moves the bytes of a call, once it is known how many. */
typedef ssize_t scull_inject_go_t(struct kiocb *iocb, struct iov_iter *iter);

/* In place of an offset: that of a stream is counted here. */
#define SCULL_INJECT_STREAM	(-1)

ssize_t scull_inject_transfer(struct scull_minor *minor, enum scull_op op,
			      loff_t pos, struct kiocb *iocb,
			      struct iov_iter *iter, scull_inject_go_t *go);
ssize_t scull_inject_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos);
ssize_t scull_inject_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos);
__poll_t scull_inject_poll(struct scull_minor *minor, const struct file *file,
			   __poll_t events);

/**
 * scull_inject_limit - how many bytes a device may hold
 * @inject:	its faults
 *
 * Return: bytes, S64_MAX for any number.
 */
static inline s64 scull_inject_limit(const struct scull_inject *inject)
{
	return READ_ONCE(inject->limit);
}

/**
 * scull_inject_gone - was the device unplugged?
 * @inject:	its faults
 *
 * Whoever waits for something asks this along with it, after he has queued
 * himself: scull_inject_unplug() comes before the waiters are woken.
 *
 * Return: is it gone?
 */
static inline bool scull_inject_gone(const struct scull_inject *inject)
{
	return READ_ONCE(inject->gone);
}

extern const struct attribute_group scull_inject_group;

#endif /* _SCULL_INJECT_H */
