// SPDX-License-Identifier: GPL-2.0
/*
 * The devices by their minor numbers, and how user space sees them: the class, the
 * nodes, and that a device can be unplugged and plugged in again.
 *
 * A device lives as long as somebody uses it. Its place in the table is one user,
 * each open file is another. A device that is unplugged loses its place and its
 * node at once; those who have it open keep what is left of it until they close it,
 * and their calls are told that it is gone. What is plugged in is a new device of
 * the same name.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kdev_t.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#include "compat.h"
#include "internal.h"

/* How long who looks at a device that is being written waits to look again. */
#define SCULL_MINOR_LOOK	max(HZ / 100, 1)

/**
 * struct scull_slot - a place in the table
 * @minor:	the device that is there, NULL while it is unplugged. Changed under
 *		scull_plug_lock; readers hold the RCU read lock until they have the
 *		device
 * @type:	its row of the device table
 * @number:	its number among its type
 * @name:	its name
 */
struct scull_slot {
	struct scull_minor __rcu *minor;
	const struct scull_type *type;
	unsigned int number;
	char name[SCULL_NAME_LEN];
};

static struct scull_slot *scull_slots;
static unsigned int scull_nr_slots;

/* Orders those who plug, unplug, make the nodes and take them away. */
static DEFINE_MUTEX(scull_plug_lock);

/* The first device number; 0 while there are no nodes. */
static dev_t scull_nodes;

static struct class scull_class = {
	.name		= "scull",
	.class_groups	= scull_sysfs_class_groups,
	.dev_groups	= scull_sysfs_device_groups,
};

/**
 * scull_minors_count - how many devices there are
 *
 * Return: their number, unplugged ones included.
 */
unsigned int scull_minors_count(void)
{
	return scull_nr_slots;
}

/**
 * scull_minor_hold - find a device by its minor number, and use it
 * @index:	the minor number less scull_minor
 *
 * Return: the device, until scull_minor_drop(); NULL if there is none now.
 */
struct scull_minor *scull_minor_hold(unsigned int index)
{
	struct scull_minor *minor;

	if (index >= scull_nr_slots)
		return NULL;
	rcu_read_lock();
	minor = rcu_dereference(scull_slots[index].minor);
	if (minor && !refcount_inc_not_zero(&minor->users))
		minor = NULL;
	rcu_read_unlock();
	return minor;
}

/**
 * scull_minor_drop - use a device no longer
 * @minor:	the device
 *
 * The last one to do so frees it. May sleep.
 */
void scull_minor_drop(struct scull_minor *minor)
{
	if (!refcount_dec_and_test(&minor->users))
		return;
	pr_debug("%s ends\n", minor->name);
	scull_inject_exit(&minor->inject);
	minor->type->destroy(minor->device);
	free_percpu(minor->stats);
	kfree_rcu(minor, rcu);
}

/*
 * Shares the lock of a store. Its writer may take as long as he pleases, and who
 * unplugs the device waits for those who look at it: so they look at their watch.
 */
static int scull_minor_lock(struct scull_dev *dev)
{
	struct scull_inject *inject = &dev->minor->inject;
	long left;

	while (!down_read_trylock(&dev->lock)) {
		left = wait_event_killable_timeout(inject->wait,
						   scull_inject_gone(inject),
						   SCULL_MINOR_LOOK);
		if (left < 0)
			return -EINTR;
		if (left)
			return -ENODEV;
	}
	return 0;
}

/**
 * scull_minor_get - go through the stores of a device, and lock each
 * @minor:	the device, which the caller uses
 * @id:		0, or one more than the id that the last call gave; the id of the
 *		store found is stored here
 *
 * Readers share the lock. May sleep.
 *
 * Return: what has the store, held until scull_minor_put(); NULL when there are
 * no more, or the device has none; ERR_PTR(-EINTR) if the caller was killed,
 * ERR_PTR(-ENODEV) if the device was unplugged while he waited.
 */
struct scull_dev *scull_minor_get(const struct scull_minor *minor,
				  unsigned long *id)
{
	const struct scull_type *type = minor->type;
	struct scull_dev *dev = NULL;
	int err;

	if (type->get)
		dev = type->get(minor->device, id);
	if (!dev)
		return dev;
	err = scull_minor_lock(dev);
	if (!err)
		return dev;
	if (type->put)
		type->put(minor->device, dev);
	return ERR_PTR(err);
}

/**
 * scull_minor_put - let go what scull_minor_get() found
 * @minor:	the device
 * @dev:	what was found
 *
 * May sleep.
 */
void scull_minor_put(const struct scull_minor *minor, struct scull_dev *dev)
{
	up_read(&dev->lock);
	if (minor->type->put)
		minor->type->put(minor->device, dev);
}

/* Makes a new device for a place; the caller puts it there. */
static struct scull_minor *scull_minor_create(const struct scull_slot *slot)
{
	struct scull_minor *minor = kzalloc(sizeof(*minor), GFP_KERNEL);
	int err = -ENOMEM;

	if (!minor)
		return ERR_PTR(err);
	minor->type = slot->type;
	minor->number = slot->number;
	memcpy(minor->name, slot->name, sizeof(minor->name));
	refcount_set(&minor->users, 1);
	scull_inject_init(&minor->inject);
	minor->stats = alloc_percpu(struct scull_stats);
	if (!minor->stats)
		goto fail;
	minor->device = slot->type->create(minor);
	if (IS_ERR(minor->device)) {
		err = PTR_ERR(minor->device);
		goto fail_stats;
	}
	pr_debug("made %s\n", minor->name);
	return minor;

fail_stats:
	free_percpu(minor->stats);
fail:
	kfree(minor);
	return ERR_PTR(err);
}

static struct scull_minor *scull_slot_minor(const struct scull_slot *slot)
{
	return rcu_dereference_protected(slot->minor,
					 lockdep_is_held(&scull_plug_lock));
}

/**
 * scull_minors_destroy - free all devices
 *
 * Nobody uses them any more. May sleep.
 */
void scull_minors_destroy(void)
{
	struct scull_minor *minor;

	mutex_lock(&scull_plug_lock);
	while (scull_nr_slots) {
		minor = scull_slot_minor(&scull_slots[--scull_nr_slots]);
		if (minor)
			scull_minor_drop(minor);
	}
	mutex_unlock(&scull_plug_lock);
	kfree(scull_slots);
}

static unsigned int __init scull_type_count(const struct scull_type *type)
{
	return type->count ? *type->count : 1;
}

/* Makes the next place, and a device in it. */
static int __init scull_slot_add(const struct scull_type *type,
				 unsigned int number)
{
	struct scull_slot *slot = &scull_slots[scull_nr_slots];
	struct scull_minor *minor;

	slot->type = type;
	slot->number = number;
	if (type->count)
		snprintf(slot->name, sizeof(slot->name), "%s%u", type->name,
			 number);
	else
		strscpy(slot->name, type->name, sizeof(slot->name));
	minor = scull_minor_create(slot);
	if (IS_ERR(minor))
		return PTR_ERR(minor);
	rcu_assign_pointer(slot->minor, minor);
	scull_nr_slots++;
	return 0;
}

/**
 * scull_minors_create - make all devices
 * @types:	the device table, in the order of the minor numbers
 * @count:	how many rows it has, at least one
 *
 * May sleep.
 *
 * Return: 0, or -ENOMEM with nothing made.
 */
int __init scull_minors_create(const struct scull_type *types,
			       unsigned int count)
{
	unsigned int i = 0, number, total = 0;
	int err;

	do {
		total += scull_type_count(&types[i]);
	} while (++i < count);
	scull_slots = kcalloc(total, sizeof(*scull_slots), GFP_KERNEL);
	if (!scull_slots)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		for (number = 0; number < scull_type_count(&types[i]); number++) {
			err = scull_slot_add(&types[i], number);
			if (err) {
				scull_minors_destroy();
				return err;
			}
		}
	}
	return 0;
}

/**
 * scull_class_add - make the class
 *
 * May sleep.
 *
 * Return: 0 or an error.
 */
int __init scull_class_add(void)
{
	return class_register(&scull_class);
}

/**
 * scull_class_remove - take the class away
 *
 * Waits until nobody is inside one of its files. May sleep.
 */
void scull_class_remove(void)
{
	class_unregister(&scull_class);
}

/* The device works without its node too: that it cannot be made is a warning. */
static void scull_node_add(const struct scull_slot *slot,
			   struct scull_minor *minor)
{
	struct device *node;

	node = device_create(&scull_class, NULL,
			     scull_nodes + (slot - scull_slots), minor, "%s",
			     minor->name);
	if (IS_ERR(node))
		pr_warn("cannot make the node of %s: %pe\n", minor->name, node);
	scull_debugfs_add(minor);
}

/* Waits until nobody is inside a file of sysfs or debugfs that is the device's. */
static void scull_node_remove(const struct scull_slot *slot,
			      struct scull_minor *minor)
{
	scull_debugfs_remove(minor);
	device_destroy(&scull_class, scull_nodes + (slot - scull_slots));
}

/**
 * scull_nodes_add - let user space see the devices
 * @first:	the device number of the first
 *
 * From here on they can be unplugged. May sleep.
 */
void __init scull_nodes_add(dev_t first)
{
	struct scull_slot *slot;

	mutex_lock(&scull_plug_lock);
	scull_nodes = first;
	for (slot = scull_slots; slot < scull_slots + scull_nr_slots; slot++)
		scull_node_add(slot, scull_slot_minor(slot));
	mutex_unlock(&scull_plug_lock);
}

/**
 * scull_nodes_remove - hide the devices
 *
 * From here on none can be plugged in. May sleep.
 */
void scull_nodes_remove(void)
{
	struct scull_minor *minor;
	struct scull_slot *slot;

	mutex_lock(&scull_plug_lock);
	for (slot = scull_slots; slot < scull_slots + scull_nr_slots; slot++) {
		minor = scull_slot_minor(slot);
		if (minor)
			scull_node_remove(slot, minor);
	}
	scull_nodes = 0;
	mutex_unlock(&scull_plug_lock);
}

/* The place of the device with that name, NULL if none is to be had. */
static struct scull_slot *scull_slot_of(const char *name)
{
	struct scull_slot *slot;

	lockdep_assert_held(&scull_plug_lock);
	if (!scull_nodes)
		return NULL;
	for (slot = scull_slots; slot < scull_slots + scull_nr_slots; slot++)
		if (sysfs_streq(slot->name, name))
			return slot;
	return NULL;
}

/*
 * Takes the device of a place away from under those who use it. It is marked as
 * gone first, so who begins to wait after the others were woken sees that.
 */
static void scull_slot_clear(struct scull_slot *slot, struct scull_minor *minor)
{
	RCU_INIT_POINTER(slot->minor, NULL);
	scull_inject_unplug(minor);
	scull_node_remove(slot, minor);
	scull_minor_drop(minor);
}

/**
 * scull_unplug - let a device vanish
 * @name:	its name, maybe with a newline behind it
 *
 * May sleep.
 *
 * Return: 0; -ENODEV if there is no such device, or not now.
 */
int scull_unplug(const char *name)
{
	struct scull_minor *minor = NULL;
	struct scull_slot *slot;

	mutex_lock(&scull_plug_lock);
	slot = scull_slot_of(name);
	if (slot)
		minor = scull_slot_minor(slot);
	if (minor)
		scull_slot_clear(slot, minor);
	mutex_unlock(&scull_plug_lock);
	return minor ? 0 : -ENODEV;
}

/**
 * scull_plug - bring a device back, empty
 * @name:	its name, maybe with a newline behind it
 *
 * May sleep.
 *
 * Return: 0; -ENODEV if there never was one of that name, -EEXIST if it is there,
 * -ENOMEM.
 */
int scull_plug(const char *name)
{
	struct scull_minor *minor;
	struct scull_slot *slot;
	int err = 0;

	mutex_lock(&scull_plug_lock);
	slot = scull_slot_of(name);
	if (!slot) {
		err = -ENODEV;
	} else if (scull_slot_minor(slot)) {
		err = -EEXIST;
	} else {
		minor = scull_minor_create(slot);
		if (IS_ERR(minor)) {
			err = PTR_ERR(minor);
		} else {
			rcu_assign_pointer(slot->minor, minor);
			scull_node_add(slot, minor);
		}
	}
	mutex_unlock(&scull_plug_lock);
	return err;
}

/**
 * scull_unplugged_show - print the names of the devices that are unplugged
 * @buf:	a page, as sysfs gives it; what does not fit is left out
 *
 * May sleep.
 *
 * Return: characters printed.
 */
int scull_unplugged_show(char *buf)
{
	const struct scull_slot *slot;
	int len = 0;

	mutex_lock(&scull_plug_lock);
	for (slot = scull_slots; slot < scull_slots + scull_nr_slots; slot++)
		if (!scull_slot_minor(slot) && len + SCULL_NAME_LEN < PAGE_SIZE)
			len += sysfs_emit_at(buf, len, "%s\n", slot->name);
	mutex_unlock(&scull_plug_lock);
	return len;
}
