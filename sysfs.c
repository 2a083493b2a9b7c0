// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs shows: of each device what is in force and what was counted, one
 * value a file, and of the class the values that ioctl sets, which can be set here
 * too. It only looks at devices and writes down what it finds; what to show of a
 * device is said by its type.
 *
 * The attributes are the class's, so they are there before anybody is told of a
 * device, and the kernel waits for who is inside one when it takes them away.
 * A device that is being written to can only be looked at when the write is over,
 * and a writer may stall himself: who waits for that can be killed.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>

#include "compat.h"
#include "internal.h"

/**
 * struct scull_attribute - a file in the directory of a device
 * @attr:	what the kernel has to know of it
 * @wants:	it is there for devices that have any of these, SCULL_HAS_*; 0: for
 *		all
 * @offset:	of what it shows in the struct that its show() looks into
 */
struct scull_attribute {
	struct device_attribute attr;
	unsigned int wants;
	size_t offset;
};

#define SCULL_ATTRIBUTE(_name, _show, _offset, _wants)			\
	static struct scull_attribute scull_sysfs_##_name = {		\
		.attr	= __ATTR(_name, 0444, _show, NULL),		\
		.wants	= _wants,					\
		.offset	= _offset,					\
	}

static size_t scull_sysfs_offset(const struct device_attribute *attr)
{
	return container_of(attr, struct scull_attribute, attr)->offset;
}

static const struct scull_minor *scull_sysfs_minor(struct device *node)
{
	return dev_get_drvdata(node);
}

static umode_t scull_sysfs_is_visible(struct kobject *kobj,
				      struct attribute *attr, int index)
{
	const struct scull_minor *minor = scull_sysfs_minor(kobj_to_dev(kobj));
	const struct scull_attribute *our =
		container_of(attr, struct scull_attribute, attr.attr);

	return !our->wants || our->wants & minor->type->has ? attr->mode : 0;
}

static ssize_t scull_sysfs_show_type(struct device *node,
				     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", scull_sysfs_minor(node)->type->kind);
}

SCULL_ATTRIBUTE(type, scull_sysfs_show_type, 0, 0);

static ssize_t scull_sysfs_show_opens(struct device *node,
				      struct device_attribute *attr, char *buf)
{
	const struct scull_stats __percpu *stats = scull_sysfs_minor(node)->stats;
	unsigned long opens, closes;

	closes = scull_stats_sum(stats, offsetof(struct scull_stats, closes));
	/* In this order, for each close comes after its open. */
	smp_rmb();
	opens = scull_stats_sum(stats, offsetof(struct scull_stats, opens));
	return sysfs_emit(buf, "%lu\n", opens - closes);
}

SCULL_ATTRIBUTE(opens, scull_sysfs_show_opens, 0, 0);

/* What the stores of a device hold together, and how the last one is cut. */
struct scull_holdings {
	u64 size;
	u64 quanta;
	u64 quantum;
	u64 qset;
};

static int scull_sysfs_sum(const struct scull_minor *minor,
			   struct scull_holdings *sum)
{
	const struct scull_store *store;
	struct scull_dev *dev;
	unsigned long id;

	memset(sum, 0, sizeof(*sum));
	for (id = 0; (dev = scull_minor_get(minor, &id)); id++) {
		if (IS_ERR(dev))
			return PTR_ERR(dev);
		store = dev->store;
		sum->size += store->size;
		sum->quanta += store->quanta;
		sum->quantum = store->quantum;
		sum->qset = store->qset;
		scull_minor_put(minor, dev);
	}
	return 0;
}

static ssize_t scull_sysfs_show_holding(struct device *node,
					struct device_attribute *attr,
					char *buf)
{
	struct scull_holdings sum;
	int err = scull_sysfs_sum(scull_sysfs_minor(node), &sum);

	if (err)
		return err;
	return sysfs_emit(buf, "%llu\n",
			  *(u64 *)((void *)&sum + scull_sysfs_offset(attr)));
}

#define SCULL_HOLDING(_name, _member, _wants)				\
	SCULL_ATTRIBUTE(_name, scull_sysfs_show_holding,		\
			offsetof(struct scull_holdings, _member), _wants)

SCULL_HOLDING(size, size, SCULL_HAS_STORE | SCULL_HAS_STORES);
SCULL_HOLDING(quanta, quanta, SCULL_HAS_STORE | SCULL_HAS_STORES);
SCULL_HOLDING(quantum, quantum, SCULL_HAS_STORE);
SCULL_HOLDING(qset, qset, SCULL_HAS_STORE);

static int scull_sysfs_state(struct device *node, struct scull_state *state)
{
	const struct scull_minor *minor = scull_sysfs_minor(node);

	return minor->type->state(minor->device, state);
}

static ssize_t scull_sysfs_show_state(struct device *node,
				      struct device_attribute *attr, char *buf)
{
	struct scull_state state;
	int err = scull_sysfs_state(node, &state);

	if (err)
		return err;
	return sysfs_emit(buf, "%u\n",
			  *(unsigned int *)((void *)&state +
					    scull_sysfs_offset(attr)));
}

#define SCULL_STATE(_name, _member, _wants)				\
	SCULL_ATTRIBUTE(_name, scull_sysfs_show_state,			\
			offsetof(struct scull_state, _member), _wants)

SCULL_STATE(devices, devices, SCULL_HAS_STORES);
SCULL_STATE(capacity, capacity, SCULL_HAS_ENDS);
SCULL_STATE(used, used, SCULL_HAS_ENDS);
SCULL_STATE(readers, readers, SCULL_HAS_ENDS);
SCULL_STATE(writers, writers, SCULL_HAS_ENDS);
SCULL_STATE(waiters, waiters, SCULL_HAS_OWNER);

static ssize_t scull_sysfs_show_owner(struct device *node,
				      struct device_attribute *attr, char *buf)
{
	struct scull_state state;
	int err = scull_sysfs_state(node, &state);

	if (err)
		return err;
	if (!uid_valid(state.owner))
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%u\n",
			  from_kuid_munged(current_user_ns(), state.owner));
}

SCULL_ATTRIBUTE(owner, scull_sysfs_show_owner, 0, SCULL_HAS_OWNER);

static struct attribute *scull_sysfs_device_attrs[] = {
	&scull_sysfs_type.attr.attr,
	&scull_sysfs_opens.attr.attr,
	&scull_sysfs_size.attr.attr,
	&scull_sysfs_quanta.attr.attr,
	&scull_sysfs_quantum.attr.attr,
	&scull_sysfs_qset.attr.attr,
	&scull_sysfs_devices.attr.attr,
	&scull_sysfs_capacity.attr.attr,
	&scull_sysfs_used.attr.attr,
	&scull_sysfs_readers.attr.attr,
	&scull_sysfs_writers.attr.attr,
	&scull_sysfs_waiters.attr.attr,
	&scull_sysfs_owner.attr.attr,
	NULL
};

static const struct attribute_group scull_sysfs_device_group = {
	.attrs		= scull_sysfs_device_attrs,
	.is_visible	= scull_sysfs_is_visible,
};

static ssize_t scull_sysfs_show_counter(struct device *node,
					struct device_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  scull_stats_sum(scull_sysfs_minor(node)->stats,
					  scull_sysfs_offset(attr)));
}

#define SCULL_COUNTER(_name, _member, _wants)				\
	SCULL_ATTRIBUTE(_name, scull_sysfs_show_counter,		\
			offsetof(struct scull_stats, _member), _wants)

SCULL_COUNTER(reads, read.calls, 0);
SCULL_COUNTER(writes, write.calls, 0);
SCULL_COUNTER(read_bytes, read.bytes, 0);
SCULL_COUNTER(write_bytes, write.bytes, 0);
SCULL_COUNTER(short_reads, read.shorts, 0);
SCULL_COUNTER(short_writes, write.shorts, 0);
SCULL_COUNTER(again, again, 0);
SCULL_COUNTER(sleeps, sleeps, SCULL_HAS_SLEEPERS);
SCULL_COUNTER(wakeups, wakeups, SCULL_HAS_SLEEPERS);
SCULL_COUNTER(refused, refused, 0);
SCULL_COUNTER(trims, trims, SCULL_HAS_STORE | SCULL_HAS_STORES);

static struct attribute *scull_sysfs_stats_attrs[] = {
	&scull_sysfs_reads.attr.attr,
	&scull_sysfs_writes.attr.attr,
	&scull_sysfs_read_bytes.attr.attr,
	&scull_sysfs_write_bytes.attr.attr,
	&scull_sysfs_short_reads.attr.attr,
	&scull_sysfs_short_writes.attr.attr,
	&scull_sysfs_again.attr.attr,
	&scull_sysfs_sleeps.attr.attr,
	&scull_sysfs_wakeups.attr.attr,
	&scull_sysfs_refused.attr.attr,
	&scull_sysfs_trims.attr.attr,
	NULL
};

static const struct attribute_group scull_sysfs_stats_group = {
	.name		= "stats",
	.attrs		= scull_sysfs_stats_attrs,
	.is_visible	= scull_sysfs_is_visible,
};

/* Of each device. */
const struct attribute_group *scull_sysfs_device_groups[] = {
	&scull_sysfs_device_group,
	&scull_sysfs_stats_group,
	&scull_inject_group,
	NULL
};

/**
 * struct scull_class_attribute - a file in the directory of the class
 * @attr:	what the kernel has to know of it
 * @setting:	the value it shows and sets
 */
struct scull_class_attribute {
	struct class_attribute attr;
	struct scull_setting *setting;
};

static struct scull_setting *
scull_sysfs_setting(scull_const_class struct class_attribute *attr)
{
	return container_of(attr, struct scull_class_attribute, attr)->setting;
}

static ssize_t scull_sysfs_setting_show(scull_const_class struct class *class,
					scull_const_class struct class_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(scull_sysfs_setting(attr)->value));
}

static ssize_t scull_sysfs_setting_store(scull_const_class struct class *class,
					 scull_const_class struct class_attribute *attr,
					 const char *buf, size_t count)
{
	int value, err;

	if (kstrtoint(buf, 0, &value))
		return -EINVAL;
	err = scull_tell(scull_sysfs_setting(attr), value);
	return err ?: count;
}

#define SCULL_SETTING(_name)						\
	static struct scull_class_attribute scull_sysfs_class_##_name = { \
		.attr		= __ATTR(_name, 0644,			\
					 scull_sysfs_setting_show,	\
					 scull_sysfs_setting_store),	\
		.setting	= &scull_##_name,			\
	}

SCULL_SETTING(quantum);
SCULL_SETTING(qset);
SCULL_SETTING(p_buffer);

static ssize_t unplug_show(scull_const_class struct class *class,
			   scull_const_class struct class_attribute *attr,
			   char *buf)
{
	return scull_unplugged_show(buf);
}

static ssize_t unplug_store(scull_const_class struct class *class,
			    scull_const_class struct class_attribute *attr,
			    const char *buf, size_t count)
{
	int err = capable(CAP_SYS_ADMIN) ? scull_unplug(buf) : -EPERM;

	return err ?: count;
}

static struct class_attribute scull_sysfs_class_unplug =
	__ATTR(unplug, 0600, unplug_show, unplug_store);

static ssize_t plug_store(scull_const_class struct class *class,
			  scull_const_class struct class_attribute *attr,
			  const char *buf, size_t count)
{
	int err = capable(CAP_SYS_ADMIN) ? scull_plug(buf) : -EPERM;

	return err ?: count;
}

static struct class_attribute scull_sysfs_class_plug =
	__ATTR(plug, 0200, NULL, plug_store);

static struct attribute *scull_sysfs_class_attrs[] = {
	&scull_sysfs_class_quantum.attr.attr,
	&scull_sysfs_class_qset.attr.attr,
	&scull_sysfs_class_p_buffer.attr.attr,
	&scull_sysfs_class_unplug.attr,
	&scull_sysfs_class_plug.attr,
	NULL
};

static const struct attribute_group scull_sysfs_class_group = {
	.attrs = scull_sysfs_class_attrs,
};

/* Of the class. */
const struct attribute_group *scull_sysfs_class_groups[] = {
	&scull_sysfs_class_group,
	NULL
};
