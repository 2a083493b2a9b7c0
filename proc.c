// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/scullmem and /proc/scullseq: what each device holds, for people who
 * debug. The book shows two ways to make such a file, hence the two names; here
 * one walk serves both. It keeps a position of device, set and quantum, never a
 * pointer, and looks its place up anew at each step under the device's lock: a
 * device may be trimmed at any moment in between, and may be larger than any
 * buffer.
 */
#include <linux/init.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "internal.h"

enum scull_walk_level {
	SCULL_WALK_DEVICE,
	SCULL_WALK_SET,
	SCULL_WALK_QUANTUM,
};

/*
 * The record a walk stands at: where that is, and what it said when it was
 * looked up. Guarded by the seq_file's own mutex.
 */
struct scull_walk {
	unsigned int minor;
	const struct scull_type *type;
	unsigned int number;
	unsigned long id;	/* of the store, where a device has several */
	enum scull_walk_level level;
	unsigned long index;	/* of the set in the store */
	unsigned int slot;	/* of the quantum in the set */
	int quantum;
	int qset;
	loff_t size;
	const void *item;	/* addresses, to be shown and never followed */
	const void *data;
};

/* Moves to the first set at or after @index, if there is one. */
static bool scull_walk_to_set(struct scull_walk *walk,
			      struct scull_store *store, unsigned long index)
{
	struct scull_set *set;

	set = xa_find(&store->sets, &index, ULONG_MAX, XA_PRESENT);
	if (!set)
		return false;
	walk->level = SCULL_WALK_SET;
	walk->index = index;
	walk->item = set;
	walk->data = set->quanta;
	return true;
}

/* Moves to the first quantum at or after @slot of the set, if there is one. */
static bool scull_walk_to_quantum(struct scull_walk *walk,
				  struct scull_store *store, unsigned int slot)
{
	struct scull_set *set = xa_load(&store->sets, walk->index);

	if (!set)
		return false;
	while (slot < store->qset && !set->quanta[slot])
		slot++;
	if (slot >= store->qset)
		return false;
	walk->level = SCULL_WALK_QUANTUM;
	walk->slot = slot;
	walk->data = set->quanta[slot];
	return true;
}

/* Moves on within the device. False: there is no more of it. */
static bool scull_walk_on(struct scull_walk *walk, struct scull_store *store)
{
	switch (walk->level) {
	case SCULL_WALK_DEVICE:
		return scull_walk_to_set(walk, store, 0);
	case SCULL_WALK_SET:
		if (walk->index < ULONG_MAX &&
		    scull_walk_to_set(walk, store, walk->index + 1))
			return true;
		return scull_walk_to_quantum(walk, store, 0);
	case SCULL_WALK_QUANTUM:
		return scull_walk_to_quantum(walk, store, walk->slot + 1);
	}
	return false;
}

/* Finds and locks the store at the walk's place, or the first one after. */
static struct scull_dev *scull_walk_get(struct scull_walk *walk)
{
	struct scull_minor *minor;
	struct scull_dev *dev;

	for (; walk->minor < scull_minors_count(); walk->minor++, walk->id = 0) {
		minor = scull_minor_hold(walk->minor);
		if (!minor)
			continue;
		dev = scull_minor_get(minor, &walk->id);
		if (!IS_ERR_OR_NULL(dev))
			return dev;
		scull_minor_drop(minor);
		if (dev && dev != ERR_PTR(-ENODEV))
			return dev;
	}
	return NULL;
}

static void scull_walk_put(struct scull_dev *dev)
{
	struct scull_minor *minor = dev->minor;

	scull_minor_put(minor, dev);
	scull_minor_drop(minor);
}

/* Begins with the store at the walk's place, or the first one after. */
static void *scull_walk_to_device(struct scull_walk *walk)
{
	struct scull_dev *dev = scull_walk_get(walk);

	if (IS_ERR_OR_NULL(dev))
		return dev;
	walk->level = SCULL_WALK_DEVICE;
	walk->type = dev->minor->type;
	walk->number = dev->minor->number;
	walk->quantum = dev->store->quantum;
	walk->qset = dev->store->qset;
	walk->size = dev->store->size;
	scull_walk_put(dev);
	return walk;
}

/*
 * seq_file begins a walk at 0, and goes on where it left it: at the record that
 * did not fit into the last read.
 */
static void *scull_seq_start(struct seq_file *seq, loff_t *pos)
{
	struct scull_walk *walk = seq->private;

	if (*pos == 0) {
		walk->minor = 0;
		walk->id = 0;
		return scull_walk_to_device(walk);
	}
	return walk->minor < scull_minors_count() ? walk : NULL;
}

static void *scull_seq_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct scull_walk *walk = v;
	struct scull_walk from = *walk;
	struct scull_dev *dev;
	bool more;

	++*pos;
	dev = scull_walk_get(walk);
	if (IS_ERR_OR_NULL(dev))
		return dev;
	more = walk->minor == from.minor && walk->id == from.id &&
	       scull_walk_on(walk, dev->store);
	scull_walk_put(dev);
	if (more)
		return walk;
	if (walk->minor == from.minor && walk->id == from.id)
		walk->id++;
	return scull_walk_to_device(walk);
}

static void scull_seq_stop(struct seq_file *seq, void *v)
{
}

static int scull_seq_show(struct seq_file *seq, void *v)
{
	const struct scull_walk *walk = v;

	switch (walk->level) {
	case SCULL_WALK_DEVICE:
		seq_puts(seq, "\nDevice ");
		if (walk->type->count)
			seq_printf(seq, "%u", walk->number);
		else
			seq_puts(seq, walk->type->name);
		seq_printf(seq, ": qset %i, q %i, sz %lli\n", walk->qset,
			   walk->quantum, walk->size);
		break;
	case SCULL_WALK_SET:
		seq_printf(seq, "  item at %p, qset at %p\n", walk->item,
			   walk->data);
		break;
	case SCULL_WALK_QUANTUM:
		seq_printf(seq, "    % 4i: %8p\n", walk->slot, walk->data);
		break;
	}
	return 0;
}

static const struct seq_operations scull_seq_ops = {
	.start	= scull_seq_start,
	.next	= scull_seq_next,
	.stop	= scull_seq_stop,
	.show	= scull_seq_show,
};

static const char * const scull_proc_names[] = { "scullmem", "scullseq" };

/**
 * scull_proc_init - make the files in /proc
 *
 * Call it when every device of the table exists. May sleep.
 *
 * Return: 0, also where the kernel has no /proc; or -ENOMEM with nothing made.
 */
int __init scull_proc_init(void)
{
	unsigned int i;

	if (!IS_ENABLED(CONFIG_PROC_FS))
		return 0;
	for (i = 0; i < ARRAY_SIZE(scull_proc_names); i++) {
		if (proc_create_seq_private(scull_proc_names[i], 0444, NULL,
					    &scull_seq_ops,
					    sizeof(struct scull_walk), NULL))
			continue;
		while (i--)
			remove_proc_entry(scull_proc_names[i], NULL);
		return -ENOMEM;
	}
	return 0;
}

/**
 * scull_proc_exit - take the files in /proc away
 *
 * Waits until nobody is inside a read of them. Call it before the devices go.
 */
void scull_proc_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(scull_proc_names); i++)
		remove_proc_entry(scull_proc_names[i], NULL);
}
