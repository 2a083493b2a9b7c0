/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the driver share: the quantum/qset store, the bare device
 * built on it, and the row of the device table that makes a kind of device
 * known to the rest.
 */
#ifndef _SCULL_INTERNAL_H
#define _SCULL_INTERNAL_H

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/uio.h>
#include <linux/xarray.h>

#include "inject.h"
#include "stats.h"

/*
 * For what the devices hold. No process owns it, so killing one frees none of
 * it: every allocation is charged to the caller, and fails rather than call the
 * OOM killer.
 */
#define SCULL_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* For what can be done without, or asked for again: where it is short, at once. */
#define SCULL_GFP_SPARE (GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

/**
 * struct scull_setting - a number that a parameter, and maybe an ioctl, sets
 * @value:	the number in force; where an ioctl may set it, it changes under
 *		others: access it with READ_ONCE() and the like
 * @initial:	the number that was compiled in
 * @min:	the smallest allowed
 * @max:	the largest allowed
 */
struct scull_setting {
	int value;
	int initial;
	int min;
	int max;
};

extern struct scull_setting scull_quantum;
extern struct scull_setting scull_qset;
extern struct scull_setting scull_p_buffer;
extern struct scull_setting scull_p_fifo;

int scull_tell(struct scull_setting *setting, int value);

struct scull_minor;

/**
 * struct scull_set - the quanta of one stretch of a store
 * @index:	its place in the xarray
 * @start:	the offset of its first byte in the store
 * @allocated:	how many of @quanta exist
 * @quanta:	the quanta by their number in the set; NULL is a hole
 */
struct scull_set {
	unsigned long index;
	u64 start;
	unsigned int allocated;
	void *quanta[];
};

/* From one batch to the next memory may go down. 16 gained a little less. */
#define SCULL_SPARES 32

/**
 * struct scull_spares - quanta that a write is going to need
 * @left:	bytes that the write has yet to bring; says nothing between writes
 * @next:	the one to be taken next
 * @count:	where they end; there is none when @next is there
 * @quanta:	the quanta, by address; NULL where there is none, because kmemleak
 *		looks here, too
 *
 * They are got in advance, for them to be taken from the lowest address up: the
 * slab allocator hands out what it has in no order, while a long access that goes
 * up in memory is one that a processor's prefetcher foresees.
 */
struct scull_spares {
	size_t left;
	unsigned int next;
	unsigned int count;
	void *quanta[SCULL_SPARES];
};

/**
 * struct scull_store - bytes at offsets, in quanta that are allocated when
 *			first written
 * @sets:	the sets by offset / @span; a missing one is a hole
 * @recent:	the set that was looked for last, or NULL: where most of those
 *		who come next want to go. Readers change it side by side, so it
 *		takes READ_ONCE() and WRITE_ONCE(); a set lives as long as its
 *		store
 * @quantum:	bytes in a quantum
 * @qset:	quanta in a set
 * @span:	bytes in a set, @quantum * @qset
 * @limit:	no byte is ever stored at or past this offset
 * @size:	one more than the highest offset ever written
 * @quanta:	how many quanta are allocated
 * @spares:	for the write that is going on; between writes there is none
 *
 * The bytes of an allocated quantum from @size on are 0.
 *
 * A store has no lock of its own: @quantum, @qset, @span and @limit never
 * change, and the caller keeps writes and scull_store_destroy() apart from
 * every other call on the same store.
 */
struct scull_store {
	struct xarray sets;
	struct scull_set *recent;
	unsigned int quantum;
	unsigned int qset;
	u64 span;
	loff_t limit;
	loff_t size;
	unsigned long quanta;
	struct scull_spares spares;
};

struct scull_store *scull_store_create(unsigned int quantum, unsigned int qset);
void scull_store_destroy(struct scull_store *store);
ssize_t scull_store_read(struct scull_store *store, loff_t pos,
			 struct iov_iter *to);
ssize_t scull_store_read_user(struct scull_store *store, loff_t pos,
			      char __user *buf, size_t count);
ssize_t scull_store_write(struct scull_store *store, loff_t pos,
			  struct iov_iter *from);
ssize_t scull_store_write_user(struct scull_store *store, loff_t pos,
			       const char __user *buf, size_t count);
bool scull_store_covers(struct scull_store *store, loff_t pos, size_t count);
loff_t scull_store_seek_data(struct scull_store *store, loff_t pos);
loff_t scull_store_seek_hole(struct scull_store *store, loff_t pos);

/**
 * struct scull_dev - a bare device: a store that every opener shares
 * @lock:	readers of @store share it, writers and a trim own it. It is held
 *		while bytes are copied, so whoever stalls a fault on his own
 *		memory stalls the device: every wait for it must be killable.
 * @store:	what the device holds; a trim puts an empty one in its place
 * @minor:	the device by its minor number, or the one that this is a part of
 */
struct scull_dev {
	struct rw_semaphore lock;
	struct scull_store *store;
	struct scull_minor *minor;
};

int scull_dev_init(struct scull_dev *dev, struct scull_minor *minor);
void scull_dev_exit(struct scull_dev *dev);
int scull_dev_open(struct scull_dev *dev, struct file *file);
struct scull_dev *scull_dev_get(void *device, unsigned long *id);

/* For an open file whose private_data is a struct scull_dev or begins with one */
ssize_t scull_read(struct file *file, char __user *buf, size_t count,
		   loff_t *pos);
ssize_t scull_write(struct file *file, const char __user *buf, size_t count,
		    loff_t *pos);
ssize_t scull_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t scull_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t scull_llseek(struct file *file, loff_t offset, int whence);
int scull_fsync(struct file *file, loff_t start, loff_t end, int datasync);
__poll_t scull_poll(struct file *file, poll_table *wait);
int scull_release(struct inode *inode, struct file *file);

long scull_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long scull_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

struct scull_policy;

/* What a kind of device has that others lack, and sysfs shows */
#define SCULL_HAS_STORE		0x01	/* one store */
#define SCULL_HAS_STORES	0x02	/* several, that come and go */
#define SCULL_HAS_ENDS		0x04	/* for reading and for writing */
#define SCULL_HAS_OWNER		0x08
#define SCULL_HAS_SLEEPERS	0x10	/* calls that wait for other calls */

/**
 * struct scull_state - what a device says of itself, beside its stores
 * @devices:	how many stores there are (SCULL_HAS_STORES)
 * @capacity:	bytes that fit in (SCULL_HAS_ENDS, like the next three)
 * @used:	bytes that are in
 * @readers:	open files that may read
 * @writers:	open files that may write
 * @owner:	whose it is, INVALID_UID while nobody has it open
 *		(SCULL_HAS_OWNER, like the next one)
 * @waiters:	opens that wait for it
 */
struct scull_state {
	unsigned int devices;
	unsigned int capacity;
	unsigned int used;
	unsigned int readers;
	unsigned int writers;
	kuid_t owner;
	unsigned int waiters;
};

/**
 * struct scull_type - a kind of device: a row of the device table
 * @name:	name of the nodes
 * @kind:	what sysfs calls it
 * @has:	what it has, SCULL_HAS_*
 * @count:	how many there are, numbered from 0; NULL for a single one whose
 *		name bears no number
 * @fops:	what an open file of such a device does; open() finds the device
 *		in the file's private_data, release() counts in @closes of the
 *		device's counters and ends with scull_minor_drop()
 * @policy:	who may open it, where @create asks for that
 * @create:	makes one device, empty: the device or an ERR_PTR(); may sleep
 * @destroy:	takes it away when nobody can have it open any more; may sleep
 * @stir:	tells all who wait for the device or poll it to look again: it may be
 *		gone (scull_inject_gone()), or faults hold pollers no longer; does
 *		not sleep. NULL if nobody waits
 * @state:	tells what @has promises, beside the stores: 0 or -EINTR; may
 *		sleep, but not as long as a caller pleases. NULL if nothing
 * @get:	goes through the stores of a device, for who wants to look at
 *		them: holds the first whose id is not below *@id, and stores its
 *		id there, or NULL; may sleep. NULL for devices without a store
 * @put:	lets go what @get held; may sleep. NULL if nothing need be done
 */
struct scull_type {
	const char *name;
	const char *kind;
	unsigned int has;
	const int *count;
	const struct file_operations *fops;
	const struct scull_policy *policy;
	void *(*create)(struct scull_minor *minor);
	void (*destroy)(void *device);
	void (*stir)(void *device);
	int (*state)(void *device, struct scull_state *state);
	struct scull_dev *(*get)(void *device, unsigned long *id);
	void (*put)(void *device, struct scull_dev *dev);
};

/* Bytes of a node's name, with the 0 at its end */
#define SCULL_NAME_LEN 16

/**
 * struct scull_minor - a device by its minor number
 * @stats:	its counters
 * @type:	its row of the device table
 * @number:	its number among its type
 * @name:	name of its node
 * @device:	what @type's create() made
 * @inject:	what is to go wrong with it
 * @map:	its file in debugfs, if there is one
 * @users:	its place in the table, open files, and others that look at it; the
 *		last one frees it
 * @rcu:	for that
 *
 * Nothing but @inject and @users changes while the device exists.
 */
struct scull_minor {
	struct scull_stats __percpu *stats;
	const struct scull_type *type;
	unsigned int number;
	char name[SCULL_NAME_LEN];
	void *device;
	struct scull_inject inject;
	struct dentry *map;
	refcount_t users;
	struct rcu_head rcu;
};

int scull_minors_create(const struct scull_type *types, unsigned int count);
void scull_minors_destroy(void);
unsigned int scull_minors_count(void);
struct scull_minor *scull_minor_hold(unsigned int index);
void scull_minor_drop(struct scull_minor *minor);
struct scull_dev *scull_minor_get(const struct scull_minor *minor,
				  unsigned long *id);
void scull_minor_put(const struct scull_minor *minor, struct scull_dev *dev);

int scull_class_add(void);
void scull_class_remove(void);
void scull_nodes_add(dev_t first);
void scull_nodes_remove(void);
int scull_unplug(const char *name);
int scull_plug(const char *name);
int scull_unplugged_show(char *buf);

extern const struct file_operations scull_pipe_fops;
struct scull_minor *scull_pipe_minor(const struct file *file);
void *scull_pipe_create(struct scull_minor *minor);
void scull_pipe_destroy(void *device);
void scull_pipe_stir(void *device);
int scull_pipe_state(void *device, struct scull_state *state);

extern const struct scull_policy scull_single_policy;
extern const struct scull_policy scull_uid_policy;
extern const struct scull_policy scull_wuid_policy;
extern const struct file_operations scull_guarded_fops;
void *scull_guarded_create(struct scull_minor *minor);
void scull_guarded_stir(void *device);
int scull_guarded_state(void *device, struct scull_state *state);

extern const struct file_operations scull_privates_fops;
void *scull_privates_create(struct scull_minor *minor);
void scull_privates_destroy(void *device);
int scull_privates_state(void *device, struct scull_state *state);
struct scull_dev *scull_privates_get(void *device, unsigned long *id);
void scull_privates_put(void *device, struct scull_dev *dev);

int scull_proc_init(void);
void scull_proc_exit(void);

extern const struct attribute_group *scull_sysfs_class_groups[];
extern const struct attribute_group *scull_sysfs_device_groups[];

#ifdef CONFIG_DEBUG_FS
void scull_debugfs_init(void);
void scull_debugfs_exit(void);
void scull_debugfs_add(struct scull_minor *minor);
void scull_debugfs_remove(struct scull_minor *minor);
#else
static inline void scull_debugfs_init(void) { }
static inline void scull_debugfs_exit(void) { }
static inline void scull_debugfs_add(struct scull_minor *minor) { }
static inline void scull_debugfs_remove(struct scull_minor *minor) { }
#endif

#endif /* _SCULL_INTERNAL_H */
