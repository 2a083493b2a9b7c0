// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/scull: for each device with a store a file that says which
 * quanta are allocated, for root only. It never opens the device, so it shows also
 * what somebody else has to himself. As in proc.c a walk keeps a position, never a
 * pointer, and looks its place up anew at each step: each line is true of one
 * moment, and the lines may be of different ones.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/seq_file.h>

#include "internal.h"

/*
 * The line a walk stands at, and where the next one is looked for. Guarded by the
 * seq_file's own mutex.
 */
struct scull_map {
	const struct scull_minor *minor;
	bool over;		/* there are no more lines */
	unsigned long id;	/* of the store, where a device has several */
	loff_t next;		/* offset to go on from */
	unsigned int quantum;
	unsigned int qset;
	loff_t size;
	u64 first;		/* of a run, by number */
	u64 count;		/* quanta in it; 0 for the line of a store */
};

/*
 * Moves to the next run of quanta. Returns 0; -ENXIO if there is none, also
 * because the store was emptied or has other quanta now; -EINTR.
 */
static int scull_map_to_run(struct scull_map *map, struct scull_store *store)
{
	loff_t data, hole;

	if (store->quantum != map->quantum || store->qset != map->qset)
		return -ENXIO;
	data = scull_store_seek_data(store, map->next);
	if (data < 0)
		return data;
	hole = scull_store_seek_hole(store, data);
	if (hole < 0)
		return hole;
	map->next = hole;
	map->first = div_u64(data, store->quantum);
	map->count = div_u64(hole - 1, store->quantum) - map->first + 1;
	return 0;
}

static void scull_map_to_store(struct scull_map *map,
			       const struct scull_store *store)
{
	map->next = 0;
	map->quantum = store->quantum;
	map->qset = store->qset;
	map->size = store->size;
	map->count = 0;
}

/* Moves to the line of the store at the walk's place, or the first one after. */
static void *scull_map_begin(struct scull_map *map)
{
	struct scull_dev *dev = scull_minor_get(map->minor, &map->id);

	map->over = !dev;
	if (IS_ERR_OR_NULL(dev))
		return dev;
	scull_map_to_store(map, dev->store);
	scull_minor_put(map->minor, dev);
	return map;
}

/* seq_file begins a walk at 0, and goes on at the line that did not fit. */
static void *scull_map_start(struct seq_file *seq, loff_t *pos)
{
	struct scull_map *map = seq->private;

	if (*pos)
		return map->over ? NULL : map;
	map->id = 0;
	return scull_map_begin(map);
}

static void *scull_map_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct scull_map *map = v;
	unsigned long id = map->id;
	struct scull_dev *dev;
	int err = -ENXIO;

	++*pos;
	dev = scull_minor_get(map->minor, &map->id);
	if (IS_ERR(dev))
		return dev;
	if (dev) {
		if (map->id == id)
			err = scull_map_to_run(map, dev->store);
		scull_minor_put(map->minor, dev);
	}
	if (!err)
		return map;
	if (err != -ENXIO)
		return ERR_PTR(err);
	if (map->id == id)
		map->id++;
	return scull_map_begin(map);
}

static void scull_map_stop(struct seq_file *seq, void *v)
{
}

static int scull_map_show(struct seq_file *seq, void *v)
{
	const struct scull_map *map = v;

	if (map->count)
		seq_printf(seq, "%llu %llu\n", map->first, map->count);
	else
		seq_printf(seq, "store %lu size %lld quantum %u qset %u\n",
			   map->id, map->size, map->quantum, map->qset);
	return 0;
}

static const struct seq_operations scull_map_ops = {
	.start	= scull_map_start,
	.next	= scull_map_next,
	.stop	= scull_map_stop,
	.show	= scull_map_show,
};

static int scull_map_open(struct inode *inode, struct file *file)
{
	struct scull_map *map;

	map = __seq_open_private(file, &scull_map_ops, sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->minor = inode->i_private;
	return 0;
}

static const struct file_operations scull_map_fops = {
	.owner		= THIS_MODULE,
	.open		= scull_map_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

static struct dentry *scull_debugfs;

/**
 * scull_debugfs_add - make the file of a device
 * @minor:	the device
 *
 * The driver works without it, so nobody is told if it cannot be made. May sleep.
 */
void scull_debugfs_add(struct scull_minor *minor)
{
	if (minor->type->get)
		minor->map = debugfs_create_file(minor->name, 0400,
						 scull_debugfs, minor,
						 &scull_map_fops);
}

/**
 * scull_debugfs_remove - take the file of a device away
 * @minor:	the device
 *
 * Waits until nobody is inside a read of it. May sleep.
 */
void scull_debugfs_remove(struct scull_minor *minor)
{
	debugfs_remove(minor->map);
}

/**
 * scull_debugfs_init - make the directory in debugfs
 *
 * May sleep.
 */
void __init scull_debugfs_init(void)
{
	scull_debugfs = debugfs_create_dir("scull", NULL);
}

/**
 * scull_debugfs_exit - take the directory in debugfs away
 *
 * May sleep.
 */
void scull_debugfs_exit(void)
{
	debugfs_remove(scull_debugfs);
}
