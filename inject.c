// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on demand: makes the calls of a device fail as its rules say, wait while
 * it is held, and end when it was unplugged; and the files in sysfs by which root
 * says so.
 *
 * All that goes wrong here goes wrong before the call does its work, or makes it
 * do less of it, except that a bit of what was read is changed in the reader's own
 * memory. So a call that fails has moved nothing, what a call says it wrote is in
 * the device, and the device itself never holds anything that nobody wrote.
 *
 * Who is made to wait holds no lock, and can be killed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "internal.h"

/* How long a poller who was told "not now" waits until he is asked again. */
#define SCULL_INJECT_AGAIN	max(HZ / 100, 1)

/* Counts the devices that are armed. */
DEFINE_STATIC_KEY_FALSE(scull_inject_key);

/* Tells who waits here, and who waits in the device itself, to look again. */
static void scull_inject_stir(struct scull_minor *minor)
{
	/* Pairs with the barrier of who queues himself, then looks. */
	smp_mb();
	wake_up_all(&minor->inject.wait);
	if (minor->type->stir)
		minor->type->stir(minor->device);
}

static void scull_inject_ask_again(struct work_struct *work)
{
	struct scull_inject *inject = container_of(to_delayed_work(work),
						   struct scull_inject, again);

	scull_inject_stir(container_of(inject, struct scull_minor, inject));
}

/**
 * scull_inject_init - begin without any fault
 * @inject:	the faults of a new device
 */
void scull_inject_init(struct scull_inject *inject)
{
	INIT_DELAYED_WORK(&inject->again, scull_inject_ask_again);
	mutex_init(&inject->mutex);
	spin_lock_init(&inject->lock);
	inject->limit = S64_MAX;
	init_waitqueue_head(&inject->wait);
}

/* Lets calls ask, or no longer, as there is something to ask for. */
static void scull_inject_arm(struct scull_inject *inject)
{
	bool arm = inject->rules || inject->hold || inject->gone ||
		   inject->limit != S64_MAX;

	lockdep_assert_held(&inject->mutex);
	if (arm == inject->armed)
		return;
	inject->armed = arm;
	if (!arm) {
		static_branch_dec(&scull_inject_key);
		return;
	}
	spin_lock(&inject->lock);
	memset(inject->moved, 0, sizeof(inject->moved));
	spin_unlock(&inject->lock);
	static_branch_inc(&scull_inject_key);
}

/* Those who hang, are delayed, held or poll look whether they may go on. */
static void scull_inject_release(struct scull_minor *minor)
{
	struct scull_inject *inject = &minor->inject;

	WRITE_ONCE(inject->releases, inject->releases + 1);
	scull_inject_stir(minor);
}

/**
 * scull_inject_unplug - say that a device is gone
 * @minor:	the device
 *
 * Who waits for it is woken, whoever he is. May sleep.
 */
void scull_inject_unplug(struct scull_minor *minor)
{
	struct scull_inject *inject = &minor->inject;

	mutex_lock(&inject->mutex);
	WRITE_ONCE(inject->gone, true);
	scull_inject_arm(inject);
	scull_inject_release(minor);
	mutex_unlock(&inject->mutex);
}

/**
 * scull_inject_exit - end
 * @inject:	the faults of a device that nobody uses any more, but which is still
 *		there
 *
 * May sleep.
 */
void scull_inject_exit(struct scull_inject *inject)
{
	cancel_delayed_work_sync(&inject->again);
	if (inject->armed)
		static_branch_dec(&scull_inject_key);
	kfree(inject->rules);
	kfree(inject->error);
}

/*
 * What a call of an unplugged device gives. A reader must not take it for the end
 * of the data, so it is an error for him too, as for any medium that fails.
 */
static int scull_inject_gone_error(enum scull_op op)
{
	return op == SCULL_OP_READ ? -EIO : -ENODEV;
}

/* Waits while the device is held; what is done to it meanwhile is for later. */
static int scull_inject_while_held(struct scull_inject *inject, bool nowait)
{
	int err;

	if (!READ_ONCE(inject->hold))
		return 0;
	if (nowait)
		return -EAGAIN;
	err = wait_event_killable(inject->wait, !READ_ONCE(inject->hold) ||
				  scull_inject_gone(inject));
	if (err)
		return -EINTR;
	return scull_inject_gone(inject) ? -ENODEV : 0;
}

static bool scull_inject_released(const struct scull_inject *inject,
				  unsigned int seen)
{
	return READ_ONCE(inject->releases) != seen;
}

/*
 * Sleeps for @delay milliseconds, never less: a jiffy may come late, and the next
 * ones soon after it.
 */
static long scull_inject_delay(struct scull_inject *inject, unsigned int delay,
			       unsigned int seen)
{
	ktime_t until = ktime_add_ms(ktime_get(), delay);
	long err = 0;
	s64 left;

	while (!err) {
		left = ktime_to_ns(ktime_sub(until, ktime_get()));
		if (left <= 0)
			break;
		err = wait_event_killable_timeout(inject->wait,
						  scull_inject_released(inject, seen),
						  nsecs_to_jiffies(left) + 1);
	}
	return err;
}

/* Waits as a fault says. @seen is @releases from before it was decided. */
static int scull_inject_sleep(struct scull_inject *inject,
			      const struct scull_fault *fault,
			      unsigned int seen)
{
	long err = 0;

	if (fault->hang)
		err = wait_event_killable(inject->wait,
					  scull_inject_released(inject, seen));
	else if (fault->delay)
		err = scull_inject_delay(inject, fault->delay, seen);
	if (err < 0)
		return -EINTR;
	return scull_inject_gone(inject) ? -ENODEV : 0;
}

/*
 * Interrupts the call by a signal, unless the caller does not care for that one.
 * It is a system call like any other then: restarted if the handler says so.
 */
static int scull_inject_signal(int signal)
{
	send_sig(signal, current, 1);
	return signal_pending(current) ? -ERESTARTSYS : 0;
}

/*
 * Finds out what happens to a call, and makes it wait. Returns 0 if it may go on,
 * with what @fault allows it, or the error it ends with.
 */
static int scull_inject_ask(struct scull_inject *inject,
			    struct scull_call *call, struct scull_fault *fault)
{
	unsigned int seen;
	int err;

	*fault = (struct scull_fault){ .count = call->count };
	if (scull_inject_gone(inject))
		return scull_inject_gone_error(call->op);
	err = scull_inject_while_held(inject, call->nowait);
	if (err)
		return err;

	get_task_comm(call->comm, current);
	spin_lock(&inject->lock);
	seen = READ_ONCE(inject->releases);
	if (scull_op_moves(call->op) && call->pos == (u64)SCULL_INJECT_STREAM)
		call->pos = inject->moved[call->op];
	if (inject->rules)
		scull_rules_judge(inject->rules, call, fault);
	spin_unlock(&inject->lock);

	err = scull_inject_sleep(inject, fault, seen);
	if (err)
		return err;
	if (fault->error)
		return fault->error;
	return fault->signal ? scull_inject_signal(fault->signal) : 0;
}

/**
 * scull_inject_call - ask what happens to a call that moves no bytes
 * @minor:	the device
 * @op:		the operation
 * @file:	the open file, or the one that is being opened
 *
 * May sleep, until the device is released; a signal that kills ends that.
 *
 * Return: 0 if the call may go on, else its error.
 */
int scull_inject_call(struct scull_minor *minor, enum scull_op op,
		      const struct file *file)
{
	struct scull_call call = {
		.op	= op,
		.uid	= file->f_cred->uid,
	};
	struct scull_fault fault;

	return scull_inject_ask(&minor->inject, &call, &fault);
}

/*
 * Changes a bit of the @len bytes that were moved to @place. Where that cannot be
 * read back (a splice on an old kernel) or was taken away meanwhile, it stays.
 */
static void scull_inject_corrupt(struct iov_iter *place, size_t len, u32 bit)
{
	struct iov_iter source = *place;
	size_t at = bit / BITS_PER_BYTE % len;
	u8 byte;

	/* An old kernel's pipe would lose what comes after, if moved along in. */
	if (!scull_iter_turn(&source))
		return;
	iov_iter_advance(&source, at);
	iov_iter_advance(place, at);
	if (!copy_from_iter(&byte, 1, &source))
		return;
	byte ^= BIT(bit % BITS_PER_BYTE);
	if (copy_to_iter(&byte, 1, place))
		pr_debug("a bit of byte %zu was changed\n", at);
}

/**
 * scull_inject_transfer - a read or a write, with what rules do to it
 * @minor:	the device
 * @op:		SCULL_OP_READ or SCULL_OP_WRITE
 * @pos:	offset at which it begins, SCULL_INJECT_STREAM if there is none
 * @iocb:	the call
 * @iter:	its bytes
 * @go:		does it
 *
 * May sleep, as scull_inject_call().
 *
 * Return: what @go gave, or the error of a fault.
 */
ssize_t scull_inject_transfer(struct scull_minor *minor, enum scull_op op,
			      loff_t pos, struct kiocb *iocb,
			      struct iov_iter *iter, scull_inject_go_t *go)
{
	struct scull_inject *inject = &minor->inject;
	struct scull_call call = {
		.op	= op,
		.uid	= iocb->ki_filp->f_cred->uid,
		.pos	= pos,
		.count	= iov_iter_count(iter),
		.nowait	= iocb->ki_flags & IOCB_NOWAIT,
	};
	struct scull_fault fault;
	struct iov_iter place;
	size_t kept;
	ssize_t ret;

	ret = scull_inject_ask(inject, &call, &fault);
	if (ret)
		return ret;
	kept = call.count - fault.count;
	iov_iter_truncate(iter, fault.count);
	place = *iter;
	ret = go(iocb, iter);
	iov_iter_reexpand(iter, iov_iter_count(iter) + kept);
	if (ret <= 0)
		return ret;
	if (fault.corrupt)
		scull_inject_corrupt(&place, ret, fault.bit);
	spin_lock(&inject->lock);
	inject->moved[op] += ret;
	spin_unlock(&inject->lock);
	return ret;
}

/**
 * scull_inject_read - a plain read, by way of the file's read_iter()
 * @file:	the file
 * @buf:	where the bytes go
 * @count:	how many are wanted
 * @pos:	the offset, which is moved past what was read; NULL for a stream
 *
 * So that what rules do is in one place. May sleep.
 *
 * Return: what read_iter() gives.
 */
ssize_t scull_inject_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos)
{
	struct iov_iter to;
	struct kiocb iocb;
	ssize_t ret;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = pos ? *pos : 0;
	iov_iter_ubuf(&to, ITER_DEST, buf, count);
	ret = file->f_op->read_iter(&iocb, &to);
	if (pos)
		*pos = iocb.ki_pos;
	return ret;
}

/**
 * scull_inject_write - a plain write, by way of the file's write_iter()
 * @file:	the file
 * @buf:	the bytes
 * @count:	how many there are
 * @pos:	the offset, which is moved past what was written; NULL for a stream
 *
 * Return: what write_iter() gives.
 */
ssize_t scull_inject_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	struct iov_iter from;
	struct kiocb iocb;
	ssize_t ret;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = pos ? *pos : 0;
	iov_iter_ubuf(&from, ITER_SOURCE, (void __user *)buf, count);
	ret = file->f_op->write_iter(&iocb, &from);
	if (pos)
		*pos = iocb.ki_pos;
	return ret;
}

/**
 * scull_inject_poll - ask what happens to a poll
 * @minor:	the device
 * @file:	the open file
 * @events:	what the device itself says
 *
 * A device that hangs or is held has nothing to say. One that says "not now"
 * (-EAGAIN) is asked again a moment later. The poller is queued already, where its type's
 * stir() or the faults' own queue reaches him. May sleep, if the poll is to be
 * late.
 *
 * Return: what is reported.
 */
__poll_t scull_inject_poll(struct scull_minor *minor, const struct file *file,
			   __poll_t events)
{
	struct scull_inject *inject = &minor->inject;
	struct scull_call call = {
		.op	= SCULL_OP_POLL,
		.uid	= file->f_cred->uid,
	};
	struct scull_fault fault = { };
	unsigned int seen;

	if (scull_inject_gone(inject))
		return EPOLLHUP | EPOLLERR;
	if (READ_ONCE(inject->hold))
		return 0;

	get_task_comm(call.comm, current);
	spin_lock(&inject->lock);
	seen = READ_ONCE(inject->releases);
	if (inject->rules)
		scull_rules_judge(inject->rules, &call, &fault);
	spin_unlock(&inject->lock);

	if (fault.hang)
		return 0;
	if (scull_inject_sleep(inject, &fault, seen) == -ENODEV)
		return EPOLLHUP | EPOLLERR;
	if (fault.error == -EAGAIN) {
		schedule_delayed_work(&inject->again, SCULL_INJECT_AGAIN);
		return 0;
	}
	if (fault.error)
		return EPOLLERR;
	if (fault.signal && scull_inject_signal(fault.signal))
		return 0;
	return events;
}

/* --- sysfs --- */

static struct scull_minor *scull_inject_minor(struct device *node)
{
	return dev_get_drvdata(node);
}

static ssize_t limit_show(struct device *node, struct device_attribute *attr,
			  char *buf)
{
	s64 limit = scull_inject_limit(&scull_inject_minor(node)->inject);

	if (limit == S64_MAX)
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%lld\n", limit);
}

static ssize_t limit_store(struct device *node, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	struct scull_inject *inject = &scull_inject_minor(node)->inject;
	s64 limit = S64_MAX;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!sysfs_streq(buf, "none") &&
	    (kstrtos64(buf, 10, &limit) || limit < 0))
		return -EINVAL;
	mutex_lock(&inject->mutex);
	WRITE_ONCE(inject->limit, limit);
	scull_inject_arm(inject);
	mutex_unlock(&inject->mutex);
	return count;
}

static DEVICE_ATTR_ADMIN_RW(limit);

static ssize_t hold_show(struct device *node, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(scull_inject_minor(node)->inject.hold));
}

static ssize_t hold_store(struct device *node, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct scull_minor *minor = scull_inject_minor(node);
	struct scull_inject *inject = &minor->inject;
	bool hold;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (kstrtobool(buf, &hold))
		return -EINVAL;
	mutex_lock(&inject->mutex);
	WRITE_ONCE(inject->hold, hold);
	scull_inject_arm(inject);
	if (!hold)
		scull_inject_release(minor);
	mutex_unlock(&inject->mutex);
	return count;
}

static DEVICE_ATTR_ADMIN_RW(hold);

static ssize_t rules_show(struct device *node, struct device_attribute *attr,
			  char *buf)
{
	struct scull_inject *inject = &scull_inject_minor(node)->inject;
	ssize_t len = 0;

	spin_lock(&inject->lock);
	if (inject->rules)
		len = scull_rules_show(inject->rules, buf);
	spin_unlock(&inject->lock);
	return len;
}

/* Puts @rules, or none if it is NULL, in place of the old ones. */
static void scull_inject_replace(struct scull_minor *minor,
				 struct scull_rules *rules)
{
	struct scull_inject *inject = &minor->inject;

	lockdep_assert_held(&inject->mutex);
	spin_lock(&inject->lock);
	swap(inject->rules, rules);
	spin_unlock(&inject->lock);
	kfree(rules);
	scull_inject_arm(inject);
	scull_inject_release(minor);
}

/*
 * Adds rules to those that are there: their counts go on, and nobody who hangs by
 * one of them is let go.
 */
static int scull_inject_append(struct scull_inject *inject,
			       const struct scull_rules *more, char **error)
{
	struct scull_rules *rules = inject->rules;

	lockdep_assert_held(&inject->mutex);
	if (rules->count + more->count > SCULL_RULES_MAX) {
		*error = kasprintf(GFP_KERNEL,
				   "with these there would be more than the 16 rules that a device may have");
		return -EINVAL;
	}
	spin_lock(&inject->lock);
	memcpy(rules->rule + rules->count, more->rule,
	       more->count * sizeof(*more->rule));
	rules->count += more->count;
	spin_unlock(&inject->lock);
	return 0;
}

/* Reads rules, and puts them in force if nothing is wrong with any of them. */
static int scull_inject_set_rules(struct scull_minor *minor, char *text,
				  char **error)
{
	struct scull_inject *inject = &minor->inject;
	bool add = *text == '+', seekable = !(minor->type->has & SCULL_HAS_ENDS);
	struct scull_rules *rules = kzalloc(sizeof(*rules), GFP_KERNEL);
	int err;

	if (!rules)
		return -ENOMEM;
	err = scull_rules_parse(rules, text + add, seekable, error);
	if (err || (add && inject->rules)) {
		if (!err)
			err = scull_inject_append(inject, rules, error);
		kfree(rules);
		return err;
	}
	if (!rules->count) {
		kfree(rules);
		rules = NULL;
	}
	scull_inject_replace(minor, rules);
	return 0;
}

static ssize_t rules_store(struct device *node, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	struct scull_minor *minor = scull_inject_minor(node);
	struct scull_inject *inject = &minor->inject;
	char *text, *error = NULL;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	text = kmemdup_nul(buf, count, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	mutex_lock(&inject->mutex);
	err = scull_inject_set_rules(minor, text, &error);
	if (error)
		pr_warn_ratelimited("rules of %s: %s\n", minor->name, error);
	kfree(inject->error);
	inject->error = error;
	mutex_unlock(&inject->mutex);
	kfree(text);
	return err ?: count;
}

static DEVICE_ATTR_ADMIN_RW(rules);

static ssize_t error_show(struct device *node, struct device_attribute *attr,
			  char *buf)
{
	struct scull_inject *inject = &scull_inject_minor(node)->inject;
	ssize_t len = 0;

	mutex_lock(&inject->mutex);
	if (inject->error)
		len = sysfs_emit(buf, "%s\n", inject->error);
	mutex_unlock(&inject->mutex);
	return len;
}

static DEVICE_ATTR_ADMIN_RO(error);

static struct attribute *scull_inject_attrs[] = {
	&dev_attr_limit.attr,
	&dev_attr_rules.attr,
	&dev_attr_error.attr,
	&dev_attr_hold.attr,
	NULL
};

/* The directory faults of each device. */
const struct attribute_group scull_inject_group = {
	.name	= "faults",
	.attrs	= scull_inject_attrs,
};
