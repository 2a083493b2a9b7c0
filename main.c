// SPDX-License-Identifier: GPL-2.0
/*
 * scull: memory that acts as char devices. This file holds what belongs to the
 * driver as a whole: the parameters and the ioctl commands that change them,
 * the table of device types, load and unload; and the bare devices scull0 and
 * up, whose bytes every opener shares and which keep them after the last close.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"
#include "scull.h"
#include "trace.h"

/* Upper ends of ranges; all others come from the kernel. */
#define SCULL_QSET_MAX		65536
#define SCULL_P_BUFFER_MAX	(16 * 1024 * 1024)
#define SCULL_COUNT_MAX		256

static struct scull_setting scull_major = {
	.value		= SCULL_MAJOR,
	.initial	= SCULL_MAJOR,
	.min		= 0,
	.max		= CHRDEV_MAJOR_MAX - 1,
};

static struct scull_setting scull_minor = {
	.value		= SCULL_MINOR,
	.initial	= SCULL_MINOR,
	.min		= 0,
	.max		= MINORMASK,
};

static struct scull_setting scull_nr_devs = {
	.value		= SCULL_NR_DEVS,
	.initial	= SCULL_NR_DEVS,
	.min		= 0,
	.max		= SCULL_COUNT_MAX,
};

static struct scull_setting scull_p_nr_devs = {
	.value		= SCULL_P_NR_DEVS,
	.initial	= SCULL_P_NR_DEVS,
	.min		= 0,
	.max		= SCULL_COUNT_MAX,
};

struct scull_setting scull_quantum = {
	.value		= SCULL_QUANTUM,
	.initial	= SCULL_QUANTUM,
	.min		= 1,
	.max		= KMALLOC_MAX_SIZE,
};

struct scull_setting scull_qset = {
	.value		= SCULL_QSET,
	.initial	= SCULL_QSET,
	.min		= 1,
	.max		= SCULL_QSET_MAX,
};

struct scull_setting scull_p_buffer = {
	.value		= SCULL_P_BUFFER,
	.initial	= SCULL_P_BUFFER,
	.min		= 1,
	.max		= SCULL_P_BUFFER_MAX,
};

struct scull_setting scull_p_fifo = {
	.min		= 0,
	.max		= 1,
};

/* A default that was replaced at compile time has to be in range too. */
static_assert(SCULL_MAJOR >= 0 && SCULL_MAJOR < CHRDEV_MAJOR_MAX);
static_assert(SCULL_MINOR >= 0 && SCULL_MINOR <= MINORMASK);
static_assert(SCULL_NR_DEVS >= 0 && SCULL_NR_DEVS <= SCULL_COUNT_MAX);
static_assert(SCULL_P_NR_DEVS >= 0 && SCULL_P_NR_DEVS <= SCULL_COUNT_MAX);
static_assert(SCULL_QUANTUM >= 1 && SCULL_QUANTUM <= KMALLOC_MAX_SIZE);
static_assert(SCULL_QSET >= 1 && SCULL_QSET <= SCULL_QSET_MAX);
static_assert(SCULL_P_BUFFER >= 1 && SCULL_P_BUFFER <= SCULL_P_BUFFER_MAX);

static bool scull_in_range(const struct scull_setting *setting, int value)
{
	return value >= setting->min && value <= setting->max;
}

static int scull_param_set(const char *arg, const struct kernel_param *kp)
{
	struct scull_setting *setting = kp->arg;
	int value;

	if (!arg || kstrtoint(arg, 0, &value) ||
	    !scull_in_range(setting, value)) {
		pr_err("parameter %s: '%s' is not a number from %d to %d\n",
		       kp->name, arg ?: "", setting->min, setting->max);
		return -EINVAL;
	}
	setting->value = value;
	return 0;
}

static int scull_param_get(char *buffer, const struct kernel_param *kp)
{
	const struct scull_setting *setting = kp->arg;

	return sysfs_emit(buffer, "%d\n", READ_ONCE(setting->value));
}

static const struct kernel_param_ops scull_param_ops = {
	.set = scull_param_set,
	.get = scull_param_get,
};

module_param_cb(scull_major, &scull_param_ops, &scull_major, 0444);
__MODULE_PARM_TYPE(scull_major, "int");
MODULE_PARM_DESC(scull_major, "major number, 0 to 511; 0: the kernel chooses");

module_param_cb(scull_minor, &scull_param_ops, &scull_minor, 0444);
__MODULE_PARM_TYPE(scull_minor, "int");
MODULE_PARM_DESC(scull_minor, "first minor number");

module_param_cb(scull_nr_devs, &scull_param_ops, &scull_nr_devs, 0444);
__MODULE_PARM_TYPE(scull_nr_devs, "int");
MODULE_PARM_DESC(scull_nr_devs, "number of bare devices, 0 to 256");

module_param_cb(scull_p_nr_devs, &scull_param_ops, &scull_p_nr_devs, 0444);
__MODULE_PARM_TYPE(scull_p_nr_devs, "int");
MODULE_PARM_DESC(scull_p_nr_devs, "number of pipes, 0 to 256");

module_param_cb(scull_quantum, &scull_param_ops, &scull_quantum, 0444);
__MODULE_PARM_TYPE(scull_quantum, "int");
MODULE_PARM_DESC(scull_quantum, "bytes in a quantum, from 1 to the most that kmalloc() gives");

module_param_cb(scull_qset, &scull_param_ops, &scull_qset, 0444);
__MODULE_PARM_TYPE(scull_qset, "int");
MODULE_PARM_DESC(scull_qset, "quanta in a set, 1 to 65536");

module_param_cb(scull_p_buffer, &scull_param_ops, &scull_p_buffer, 0444);
__MODULE_PARM_TYPE(scull_p_buffer, "int");
MODULE_PARM_DESC(scull_p_buffer, "bytes that a pipe holds, 1 to 16777216");

module_param_cb(scull_p_fifo, &scull_param_ops, &scull_p_fifo, 0444);
__MODULE_PARM_TYPE(scull_p_fifo, "int");
MODULE_PARM_DESC(scull_p_fifo, "1: pipes open, end and break as in fifo(7); 0: as in the book");

/*
 * Gives a setting a new value, if the caller may. The old one is stored at
 * @old, unless that is NULL, before the new one is in force: a bad address
 * changes nothing. Returns the old value.
 */
static int scull_change(struct scull_setting *setting, int value,
			int __user *old)
{
	int seen;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!scull_in_range(setting, value))
		return -EINVAL;
	do {
		seen = READ_ONCE(setting->value);
		if (old && put_user(seen, old))
			return -EFAULT;
	} while (cmpxchg(&setting->value, seen, value) != seen);
	return seen;
}

/**
 * scull_tell - give a setting a new value, if the caller may
 * @setting:	one that changes under others
 * @value:	the value
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN, -EINVAL for a value out of range.
 */
int scull_tell(struct scull_setting *setting, int value)
{
	int old = scull_change(setting, value, NULL);

	return old < 0 ? old : 0;
}

static int scull_set(struct scull_setting *setting, const int __user *arg)
{
	int value;

	return get_user(value, arg) ? -EFAULT : scull_tell(setting, value);
}

static int scull_exchange(struct scull_setting *setting, int __user *arg)
{
	int value;

	if (get_user(value, arg))
		return -EFAULT;
	value = scull_change(setting, value, arg);
	return value < 0 ? value : 0;
}

static int scull_get(const struct scull_setting *setting, int __user *arg)
{
	return put_user(READ_ONCE(setting->value), arg);
}

static int scull_reset(void)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	WRITE_ONCE(scull_quantum.value, scull_quantum.initial);
	WRITE_ONCE(scull_qset.value, scull_qset.initial);
	WRITE_ONCE(scull_p_buffer.value, scull_p_buffer.initial);
	return 0;
}

/* The device of an open file. */
static struct scull_minor *scull_minor_of(const struct file *file)
{
	const struct scull_dev *dev = file->private_data;

	return file->f_op == &scull_pipe_fops ? scull_pipe_minor(file) :
						dev->minor;
}

/**
 * scull_ioctl - the ioctl commands, the same on every device
 * @file:	says only of which device faults may be in force
 * @cmd:	a command of scull.h
 * @arg:	its value, or the address of an int
 *
 * May sleep.
 *
 * Return: what the command gives, at least 0; -ENOTTY for any other command,
 * -EPERM without CAP_SYS_ADMIN where the command changes a value, -EINVAL for a
 * value out of range, -EFAULT for a bad address. An error changes nothing.
 */
long scull_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int __user *argp = (int __user *)arg;
	int err;

	if (scull_injecting()) {
		err = scull_inject_call(scull_minor_of(file), SCULL_OP_IOCTL,
					file);
		if (err)
			return err;
	}
	switch (cmd) {
	case SCULL_IOCRESET:
		return scull_reset();
	case SCULL_IOCSQUANTUM:
		return scull_set(&scull_quantum, argp);
	case SCULL_IOCSQSET:
		return scull_set(&scull_qset, argp);
	case SCULL_IOCTQUANTUM:
		return scull_tell(&scull_quantum, arg);
	case SCULL_IOCTQSET:
		return scull_tell(&scull_qset, arg);
	case SCULL_IOCGQUANTUM:
		return scull_get(&scull_quantum, argp);
	case SCULL_IOCGQSET:
		return scull_get(&scull_qset, argp);
	case SCULL_IOCQQUANTUM:
		return READ_ONCE(scull_quantum.value);
	case SCULL_IOCQQSET:
		return READ_ONCE(scull_qset.value);
	case SCULL_IOCXQUANTUM:
		return scull_exchange(&scull_quantum, argp);
	case SCULL_IOCXQSET:
		return scull_exchange(&scull_qset, argp);
	case SCULL_IOCHQUANTUM:
		return scull_change(&scull_quantum, arg, NULL);
	case SCULL_IOCHQSET:
		return scull_change(&scull_qset, arg, NULL);
	case SCULL_P_IOCTSIZE:
		return scull_tell(&scull_p_buffer, arg);
	case SCULL_P_IOCQSIZE:
		return READ_ONCE(scull_p_buffer.value);
	default:
		return -ENOTTY;
	}
}

#ifdef CONFIG_COMPAT
/**
 * scull_compat_ioctl - scull_ioctl() for a 32-bit program on a 64-bit kernel
 * @file:	as for scull_ioctl()
 * @cmd:	a command of scull.h: an int has the same size on both sides
 * @arg:	an address of the program, or a value, which is no address and must
 *		not be treated as one
 *
 * Return: as scull_ioctl().
 */
long scull_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (_IOC_DIR(cmd) != _IOC_NONE)
		arg = (unsigned long)compat_ptr(arg);
	return scull_ioctl(file, cmd, arg);
}
#endif

static struct scull_store *scull_new_store(void)
{
	return scull_store_create(READ_ONCE(scull_quantum.value),
				  READ_ONCE(scull_qset.value));
}

/**
 * scull_dev_init - give a bare device an empty store of the current settings
 * @dev:	the device
 * @minor:	its entry
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int scull_dev_init(struct scull_dev *dev, struct scull_minor *minor)
{
	dev->minor = minor;
	init_rwsem(&dev->lock);
	dev->store = scull_new_store();
	return dev->store ? 0 : -ENOMEM;
}

/**
 * scull_dev_exit - free what a bare device holds
 * @dev:	the device, which nobody uses any more
 *
 * May sleep.
 */
void scull_dev_exit(struct scull_dev *dev)
{
	scull_store_destroy(dev->store);
}

/*
 * Empties a device and puts the current settings in force. All that takes time
 * happens outside the lock: the new store is made before, and whatever the old
 * one held is freed after.
 */
static int scull_trim(struct scull_dev *dev)
{
	struct scull_store *store = scull_new_store();
	u64 freed;
	int err;

	if (!store)
		return -ENOMEM;
	err = down_write_killable(&dev->lock);
	if (!err) {
		swap(dev->store, store);
		up_write(&dev->lock);
	}
	freed = (u64)store->quanta * store->quantum;
	scull_store_destroy(store);
	if (err)
		return err;
	pr_debug("trim of %s: %llu bytes freed\n", dev->minor->name, freed);
	trace_scull_trim(dev->minor, freed);
	scull_count(&dev->minor->stats->trims);
	return 0;
}

/* Whoever opens for writing only, or asks for it, starts with an empty device. */
static bool scull_open_trims(const struct file *file)
{
	if (file->f_flags & O_TRUNC)
		return file->f_mode & FMODE_WRITE;
	return (file->f_flags & O_ACCMODE) == O_WRONLY &&
	       !(file->f_flags & O_APPEND);
}

/**
 * scull_dev_open - what opening a bare device does once the opener is admitted
 * @dev:	the device
 * @file:	the open file, whose private_data is @dev or begins with it
 *
 * May sleep.
 *
 * Return: 0; or -ENOMEM or -EINTR if the device had to be trimmed and was not.
 */
int scull_dev_open(struct scull_dev *dev, struct file *file)
{
	int err;

	if (scull_open_trims(file)) {
		err = scull_trim(dev);
		if (err)
			return err;
	}
	/* As for a regular file: who shares an open shares its position safely. */
	file->f_mode |= FMODE_ATOMIC_POS | FMODE_NOWAIT;
	return 0;
}

static int scull_open(struct inode *inode, struct file *file)
{
	return scull_dev_open(file->private_data, file);
}

/**
 * scull_release - what closing a bare device does
 * @inode:	ignored
 * @file:	the open file, whose private_data is a struct scull_dev or begins with
 *		one
 *
 * Return: 0.
 */
int scull_release(struct inode *inode, struct file *file)
{
	struct scull_dev *dev = file->private_data;
	struct scull_minor *minor = dev->minor;

	scull_count(&minor->stats->closes);
	scull_minor_drop(minor);
	return 0;
}

/*
 * Ends a read of @count bytes at *@pos that gives @ret: moves *@pos past what was
 * read. Outside the lock, for nobody shall wait for the bookkeeping.
 */
static __always_inline ssize_t scull_read_ends(const struct scull_dev *dev,
					       loff_t *pos, size_t count,
					       ssize_t ret)
{
	const struct scull_minor *minor = dev->minor;

	trace_scull_read(minor, *pos, count, ret);
	scull_count_transfer(minor->stats, &minor->stats->read, count, ret);
	if (ret > 0)
		*pos += ret;
	return ret;
}

/**
 * scull_read - read from a bare device, for read() and pread()
 * @file:	the file
 * @buf:	where the bytes go
 * @count:	how many are wanted
 * @pos:	the offset, which is moved past what was read
 *
 * What scull_read_iter() would do, without the struct kiocb and the iterator
 * that the VFS makes for it: a sixth of what a small read takes. May sleep.
 *
 * Return: as scull_store_read(); -EINTR if the caller was killed while he waited
 * for the device.
 */
ssize_t scull_read(struct file *file, char __user *buf, size_t count,
		   loff_t *pos)
{
	struct scull_dev *dev = file->private_data;
	ssize_t ret;

	if (scull_injecting())
		return scull_inject_read(file, buf, count, pos);
	if (down_read_killable(&dev->lock))
		return -EINTR;
	ret = scull_store_read_user(dev->store, *pos, buf, count);
	up_read(&dev->lock);
	return scull_read_ends(dev, pos, count, ret);
}

static ssize_t scull_dev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct scull_dev *dev = iocb->ki_filp->private_data;
	size_t count = iov_iter_count(to);
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT)
		ret = down_read_trylock(&dev->lock) ? 0 : -EAGAIN;
	else
		ret = down_read_killable(&dev->lock);
	if (!ret) {
		ret = scull_store_read(dev->store, iocb->ki_pos, to);
		up_read(&dev->lock);
	}
	return scull_read_ends(dev, &iocb->ki_pos, count, ret);
}

/**
 * scull_read_iter - read from a bare device, for all other calls
 * @iocb:	the file and the offset, which is moved past what was read
 * @to:		where the bytes go
 *
 * May sleep.
 *
 * Return: as scull_read(); -EAGAIN if the caller must not wait and the device is
 * being written.
 */
ssize_t scull_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct scull_dev *dev = iocb->ki_filp->private_data;

	if (scull_injecting())
		return scull_inject_transfer(dev->minor, SCULL_OP_READ,
					     iocb->ki_pos, iocb, to,
					     scull_dev_read_iter);
	return scull_dev_read_iter(iocb, to);
}

/*
 * Where the device must not grow as far as a write would have it, cuts the write
 * or refuses it. What is in the device can be written again.
 */
static int scull_dev_limit(const struct scull_dev *dev, loff_t at,
			   struct iov_iter *from)
{
	loff_t limit = max_t(loff_t, scull_inject_limit(&dev->minor->inject),
			     dev->store->size);

	if (at >= limit && iov_iter_count(from))
		return -ENOSPC;
	iov_iter_truncate(from, limit - at);
	return 0;
}

/*
 * Ends a write of @count bytes at @at that gives @ret: moves *@pos past what was
 * written.
 */
static __always_inline ssize_t scull_write_ends(const struct scull_dev *dev,
						loff_t *pos, loff_t at,
						size_t count, ssize_t ret)
{
	const struct scull_minor *minor = dev->minor;

	trace_scull_write(minor, at, count, ret);
	scull_count_transfer(minor->stats, &minor->stats->write, count, ret);
	if (ret > 0)
		*pos = at + ret;
	return ret;
}

/**
 * scull_write - write to a bare device, for write() and pwrite()
 * @file:	the file
 * @buf:	the bytes
 * @count:	how many there are
 * @pos:	the offset, which is moved past what was written
 *
 * To scull_write_iter() what scull_read() is to scull_read_iter(). May sleep.
 *
 * Return: as scull_store_write(); -EINTR if the caller was killed while he
 * waited for the device.
 */
ssize_t scull_write(struct file *file, const char __user *buf, size_t count,
		    loff_t *pos)
{
	struct scull_dev *dev = file->private_data;
	ssize_t ret;
	loff_t at;

	if (scull_injecting())
		return scull_inject_write(file, buf, count, pos);
	if (down_write_killable(&dev->lock))
		return -EINTR;
	/* Asked again: a limit that was set meanwhile holds for who waited, too. */
	if (scull_injecting()) {
		up_write(&dev->lock);
		return scull_inject_write(file, buf, count, pos);
	}
	at = file->f_flags & O_APPEND ? dev->store->size : *pos;
	ret = scull_store_write_user(dev->store, at, buf, count);
	up_write(&dev->lock);
	return scull_write_ends(dev, pos, at, count, ret);
}

static ssize_t scull_dev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct scull_dev *dev = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	size_t count = iov_iter_count(from);
	loff_t at = iocb->ki_pos;
	ssize_t ret;

	if (nowait)
		ret = down_write_trylock(&dev->lock) ? 0 : -EAGAIN;
	else
		ret = down_write_killable(&dev->lock);
	if (ret)
		goto out;
	if (iocb->ki_flags & IOCB_APPEND)
		at = dev->store->size;
	if (scull_injecting()) {
		ret = scull_dev_limit(dev, at, from);
		if (ret)
			goto out_unlock;
	}
	if (nowait &&
	    !scull_store_covers(dev->store, at, iov_iter_count(from)))
		ret = -EAGAIN;
	else
		ret = scull_store_write(dev->store, at, from);
out_unlock:
	up_write(&dev->lock);
out:
	return scull_write_ends(dev, &iocb->ki_pos, at, count, ret);
}

/* Rules want to know where a write will begin, though others may append before. */
static ssize_t scull_write_iter_injected(struct kiocb *iocb,
					 struct iov_iter *from)
{
	struct scull_dev *dev = iocb->ki_filp->private_data;
	loff_t pos = iocb->ki_pos;

	if (iocb->ki_flags & IOCB_APPEND) {
		if (iocb->ki_flags & IOCB_NOWAIT) {
			if (!down_read_trylock(&dev->lock))
				return -EAGAIN;
		} else if (down_read_killable(&dev->lock)) {
			return -EINTR;
		}
		pos = dev->store->size;
		up_read(&dev->lock);
	}
	return scull_inject_transfer(dev->minor, SCULL_OP_WRITE, pos, iocb,
				     from, scull_dev_write_iter);
}

/**
 * scull_write_iter - write to a bare device, for all other calls
 * @iocb:	the file and the offset, which is moved past what was written
 * @from:	the bytes
 *
 * May sleep.
 *
 * Return: as scull_write(); -EAGAIN if the caller must not wait and the device
 * is in use, or memory would have to be allocated.
 */
ssize_t scull_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	if (scull_injecting())
		return scull_write_iter_injected(iocb, from);
	return scull_dev_write_iter(iocb, from);
}

/**
 * scull_llseek - set the position of an open file of a bare device
 * @file:	the file
 * @offset:	bytes from where @whence says
 * @whence:	SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA or SEEK_HOLE
 *
 * May sleep.
 *
 * Return: the new position; -EINVAL for one that cannot be or an unknown
 * @whence, -ENXIO if there is no data or hole to be found, -EINTR if the caller
 * was killed.
 */
loff_t scull_llseek(struct file *file, loff_t offset, int whence)
{
	struct scull_dev *dev = file->private_data;
	struct scull_store *store;
	loff_t ret;

	if (scull_injecting()) {
		ret = scull_inject_call(dev->minor, SCULL_OP_SEEK, file);
		if (ret)
			return ret;
	}
	if (down_read_killable(&dev->lock))
		return -EINTR;
	store = dev->store;
	switch (whence) {
	case SEEK_DATA:
		ret = scull_store_seek_data(store, offset);
		break;
	case SEEK_HOLE:
		ret = scull_store_seek_hole(store, offset);
		break;
	default:
		ret = generic_file_llseek_size(file, offset, whence,
					       store->limit, store->size);
		goto out;
	}
	if (ret >= 0)
		ret = vfs_setpos(file, ret, store->limit);
out:
	up_read(&dev->lock);
	return ret;
}

/**
 * scull_fsync - nothing, for a bare device has nothing to bring elsewhere
 * @file:	the file
 * @start:	ignored, as the next two
 * @end:	ignored
 * @datasync:	ignored
 *
 * Return: 0, or the error of a fault.
 */
int scull_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct scull_dev *dev = file->private_data;

	if (scull_injecting())
		return scull_inject_call(dev->minor, SCULL_OP_FSYNC, file);
	return 0;
}

/**
 * scull_poll - say that a bare device can be read and written
 * @file:	the file
 * @wait:	what the poller waits with
 *
 * Return: that, or what faults say.
 */
__poll_t scull_poll(struct file *file, poll_table *wait)
{
	struct scull_dev *dev = file->private_data;

	/* Who wants to hear of nothing else still hears that it was unplugged. */
	poll_wait(file, &dev->minor->inject.wait, wait);
	/* Pairs with the barrier of who is about to wake. */
	smp_mb();
	if (scull_injecting())
		return scull_inject_poll(dev->minor, file, DEFAULT_POLLMASK);
	return DEFAULT_POLLMASK;
}

static const struct file_operations scull_fops = {
	.owner		= THIS_MODULE,
	.open		= scull_open,
	.release	= scull_release,
	.read		= scull_read,
	.write		= scull_write,
	.read_iter	= scull_read_iter,
	.write_iter	= scull_write_iter,
	.llseek		= scull_llseek,
	.poll		= scull_poll,
	.fsync		= scull_fsync,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.unlocked_ioctl	= scull_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= scull_compat_ioctl,
#endif
};

/**
 * scull_dev_get - go through the stores of a device that has just one
 * @device:	the device, a struct scull_dev or something that begins with it
 * @id:		which is wanted
 *
 * Return: the device if @id is 0, else NULL.
 */
struct scull_dev *scull_dev_get(void *device, unsigned long *id)
{
	return *id ? NULL : device;
}

static void *scull_create(struct scull_minor *minor)
{
	struct scull_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	err = scull_dev_init(dev, minor);
	if (err) {
		kfree(dev);
		return ERR_PTR(err);
	}
	return dev;
}

static void scull_destroy(void *device)
{
	scull_dev_exit(device);
	kfree(device);
}

/* The device table, in the order of the minor numbers. */
static const struct scull_type scull_types[] = {
	{
		.name		= "scull",
		.kind		= "bare",
		.has		= SCULL_HAS_STORE,
		.count		= &scull_nr_devs.value,
		.fops		= &scull_fops,
		.create		= scull_create,
		.destroy	= scull_destroy,
		.get		= scull_dev_get,
	},
	{
		.name		= "scullpipe",
		.kind		= "pipe",
		.has		= SCULL_HAS_ENDS | SCULL_HAS_SLEEPERS,
		.count		= &scull_p_nr_devs.value,
		.fops		= &scull_pipe_fops,
		.create		= scull_pipe_create,
		.destroy	= scull_pipe_destroy,
		.stir		= scull_pipe_stir,
		.state		= scull_pipe_state,
	},
	{
		.name		= "scullsingle",
		.kind		= "single",
		.has		= SCULL_HAS_STORE | SCULL_HAS_OWNER,
		.fops		= &scull_guarded_fops,
		.policy		= &scull_single_policy,
		.create		= scull_guarded_create,
		.destroy	= scull_destroy,
		.state		= scull_guarded_state,
		.get		= scull_dev_get,
	},
	{
		.name		= "sculluid",
		.kind		= "uid",
		.has		= SCULL_HAS_STORE | SCULL_HAS_OWNER,
		.fops		= &scull_guarded_fops,
		.policy		= &scull_uid_policy,
		.create		= scull_guarded_create,
		.destroy	= scull_destroy,
		.state		= scull_guarded_state,
		.get		= scull_dev_get,
	},
	{
		.name		= "scullwuid",
		.kind		= "wuid",
		.has		= SCULL_HAS_STORE | SCULL_HAS_OWNER |
				  SCULL_HAS_SLEEPERS,
		.fops		= &scull_guarded_fops,
		.policy		= &scull_wuid_policy,
		.create		= scull_guarded_create,
		.destroy	= scull_destroy,
		.stir		= scull_guarded_stir,
		.state		= scull_guarded_state,
		.get		= scull_dev_get,
	},
	{
		.name		= "scullpriv",
		.kind		= "priv",
		.has		= SCULL_HAS_STORES,
		.fops		= &scull_privates_fops,
		.create		= scull_privates_create,
		.destroy	= scull_privates_destroy,
		.state		= scull_privates_state,
		.get		= scull_privates_get,
		.put		= scull_privates_put,
	},
};

static dev_t scull_first;
static struct cdev *scull_cdev;

/* Hands a file to the device's own type. */
static int scull_open_type(struct scull_minor *minor, struct inode *inode,
			   struct file *file)
{
	const struct file_operations *fops;
	int err;

	/* The VFS would refuse it too, but only after the device was emptied. */
	if (file->f_flags & O_DIRECT)
		return -EINVAL;
	if (scull_injecting()) {
		err = scull_inject_call(minor, SCULL_OP_OPEN, file);
		if (err)
			return err;
	}
	fops = fops_get(minor->type->fops);
	if (!fops)
		return -ENXIO;
	replace_fops(file, fops);
	file->private_data = minor->device;
	return fops->open(inode, file);
}

/* One cdev serves all minors. Each open file uses its device until it is closed. */
static int scull_open_minor(struct inode *inode, struct file *file)
{
	struct scull_minor *minor =
		scull_minor_hold(iminor(inode) - MINOR(scull_first));
	int err;

	if (!minor)
		return -ENODEV;
	err = scull_open_type(minor, inode, file);
	pr_debug("open of %s, flags %#x: %d\n", minor->name, file->f_flags,
		 err);
	trace_scull_open(minor, file->f_flags, err);
	if (err) {
		scull_count(&minor->stats->refused);
		scull_minor_drop(minor);
	} else {
		scull_count(&minor->stats->opens);
	}
	return err;
}

static const struct file_operations scull_minor_fops = {
	.owner	= THIS_MODULE,
	.open	= scull_open_minor,
};

static int __init scull_register_region(void)
{
	unsigned int room = MINORMASK + 1 - scull_minor.value;
	unsigned int count = scull_minors_count();
	int err;

	if (count > room) {
		pr_err("parameter scull_minor: %d leaves minor numbers for %u devices, not for %u\n",
		       scull_minor.value, room, count);
		return -EINVAL;
	}
	if (!scull_major.value)
		return alloc_chrdev_region(&scull_first, scull_minor.value,
					   count, "scull");
	scull_first = MKDEV(scull_major.value, scull_minor.value);
	err = register_chrdev_region(scull_first, count, "scull");
	if (err == -EBUSY)
		pr_err("parameter scull_major: %d is taken by another driver\n",
		       scull_major.value);
	return err;
}

static int __init scull_add_cdev(void)
{
	int err;

	scull_cdev = cdev_alloc();
	if (!scull_cdev)
		return -ENOMEM;
	scull_cdev->ops = &scull_minor_fops;
	scull_cdev->owner = THIS_MODULE;
	err = cdev_add(scull_cdev, scull_first, scull_minors_count());
	if (err)
		kobject_put(&scull_cdev->kobj);
	return err;
}

/*
 * From cdev_add() on somebody may be inside an open, and a module whose init
 * fails is freed without waiting for him: so it comes last of all that can fail.
 */
static int __init scull_init(void)
{
	const char *step;
	int err;

	step = "make the devices";
	err = scull_minors_create(scull_types, ARRAY_SIZE(scull_types));
	if (err)
		goto fail;

	step = "get the device numbers";
	err = scull_register_region();
	if (err)
		goto fail_minors;

	step = "make the device class";
	err = scull_class_add();
	if (err)
		goto fail_region;

	step = "make the files in /proc";
	err = scull_proc_init();
	if (err)
		goto fail_class;

	step = "add the character device";
	err = scull_add_cdev();
	if (err)
		goto fail_proc;

	scull_debugfs_init();
	scull_nodes_add(scull_first);
	pr_info("%u devices from major %u, minor %u\n", scull_minors_count(),
		MAJOR(scull_first), MINOR(scull_first));
	return 0;

fail_proc:
	scull_proc_exit();
fail_class:
	scull_class_remove();
fail_region:
	unregister_chrdev_region(scull_first, scull_minors_count());
fail_minors:
	scull_minors_destroy();
fail:
	pr_err("cannot %s: error %d\n", step, err);
	return err;
}
module_init(scull_init);

/* The kernel unloads the module only when no file of it is open. */
static void __exit scull_exit(void)
{
	scull_nodes_remove();
	scull_debugfs_exit();
	cdev_del(scull_cdev);
	scull_proc_exit();
	scull_class_remove();
	unregister_chrdev_region(scull_first, scull_minors_count());
	scull_minors_destroy();
}
module_exit(scull_exit);

MODULE_AUTHOR("The scull developers");
MODULE_DESCRIPTION("Memory that acts as character devices, to learn and test with");
MODULE_LICENSE("GPL");
