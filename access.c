// SPDX-License-Identifier: GPL-2.0
/*
 * scullsingle, sculluid, scullwuid and scullpriv: bare devices behind a policy
 * that says who may open them. Opens are counted by open file, so processes that
 * share one, through fork(), dup() or a socket, are one opener until the last of
 * them has closed it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/splice.h>
#include <linux/tty.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "internal.h"

/*
 * How long the bytes of a session that has lost its terminal may stay, at most,
 * when nobody opens or closes scullpriv meanwhile.
 */
#define SCULL_PRIV_SWEEP	(2 * HZ)

/**
 * struct scull_policy - who else may open a device that somebody has open
 * @shared:	its owner, and who may override access rules
 * @waits:	nobody else either, but he waits until it is free
 */
struct scull_policy {
	bool shared;
	bool waits;
};

const struct scull_policy scull_single_policy = { };
const struct scull_policy scull_uid_policy = { .shared = true };
const struct scull_policy scull_wuid_policy = { .shared = true, .waits = true };

/**
 * struct scull_guarded - a bare device with a policy
 * @dev:	the device; first, so that what serves a bare device serves it
 * @policy:	says who may open it
 * @lock:	guards the fields that follow
 * @opens:	files that have it open
 * @owner:	the user it belongs to while @opens is not 0
 * @waiters:	opens that wait for it, in the order they came; empty while
 *		@opens is 0, because the last close hands the device on
 */
struct scull_guarded {
	struct scull_dev dev;
	const struct scull_policy *policy;
	spinlock_t lock;	/* the fields that follow */
	unsigned int opens;
	kuid_t owner;
	struct list_head waiters;
};

/*
 * An opener as a policy sees him, and how he waits; linked while he does. When he
 * is taken off the list, @err says what became of him.
 */
struct scull_opener {
	kuid_t uid;
	kuid_t euid;
	bool privileged;
	int err;
	struct list_head link;
	struct completion admitted;
};

static bool scull_guarded_owned(const struct scull_guarded *guarded,
				const struct scull_opener *opener)
{
	return uid_eq(guarded->owner, opener->uid) ||
	       uid_eq(guarded->owner, opener->euid);
}

/* Lets an opener in if the policy has nothing against it. */
static bool scull_guarded_admit(struct scull_guarded *guarded,
				const struct scull_opener *opener)
{
	lockdep_assert_held(&guarded->lock);
	if (!guarded->opens)
		guarded->owner = opener->uid;
	else if (!guarded->policy->shared ||
		 !(opener->privileged || scull_guarded_owned(guarded, opener)))
		return false;
	guarded->opens++;
	return true;
}

/*
 * Hands a device that came free to the first who waits, and to all others whom
 * that lets in. They own it from here on, whether or not they have woken up yet:
 * nobody can come in between, and no wakeup can go astray.
 */
static void scull_guarded_hand_on(struct scull_guarded *guarded)
{
	struct scull_opener *opener, *next;

	lockdep_assert_held(&guarded->lock);
	list_for_each_entry_safe(opener, next, &guarded->waiters, link) {
		if (!scull_guarded_admit(guarded, opener))
			continue;
		list_del_init(&opener->link);
		scull_count(&guarded->dev.minor->stats->wakeups);
		complete(&opener->admitted);
	}
}

static void scull_guarded_leave(struct scull_guarded *guarded)
{
	spin_lock(&guarded->lock);
	if (!--guarded->opens)
		scull_guarded_hand_on(guarded);
	spin_unlock(&guarded->lock);
}

/*
 * Waits until somebody hands the device on. Who has it handed to him at the very
 * moment of a signal has it: he is off the list.
 */
static int scull_guarded_wait(struct scull_guarded *guarded,
			      struct scull_opener *opener)
{
	const struct scull_inject *inject = &guarded->dev.minor->inject;
	bool waits = false;
	int err = 0;

	init_completion(&opener->admitted);
	spin_lock(&guarded->lock);
	if (scull_inject_gone(inject)) {
		err = -ENODEV;
	} else if (!scull_guarded_admit(guarded, opener)) {
		waits = true;
		list_add_tail(&opener->link, &guarded->waiters);
	}
	spin_unlock(&guarded->lock);
	if (!waits)
		return err;

	pr_debug("%s: an open waits\n", guarded->dev.minor->name);
	scull_count(&guarded->dev.minor->stats->sleeps);
	err = wait_for_completion_interruptible(&opener->admitted);
	if (!err)
		return opener->err;
	spin_lock(&guarded->lock);
	if (list_empty(&opener->link))
		err = opener->err;
	else
		list_del(&opener->link);
	spin_unlock(&guarded->lock);
	return err;
}

/* Who needs the privilege uses it, so it is asked for only when needed. */
static int scull_guarded_enter(struct scull_guarded *guarded,
			       const struct file *file)
{
	const struct scull_policy *policy = guarded->policy;
	struct scull_opener opener = {
		.uid	= current_uid(),
		.euid	= current_euid(),
	};
	bool admitted;

	spin_lock(&guarded->lock);
	admitted = scull_guarded_admit(guarded, &opener);
	spin_unlock(&guarded->lock);
	if (admitted)
		return 0;
	if (!policy->shared)
		return -EBUSY;
	if (capable(CAP_DAC_OVERRIDE))
		opener.privileged = true;
	else if (!policy->waits)
		return -EBUSY;
	else if (file->f_flags & O_NONBLOCK)
		return -EAGAIN;
	return scull_guarded_wait(guarded, &opener);
}

/**
 * scull_guarded_stir - wake those who wait for a device, if it is gone
 * @device:	the device
 */
void scull_guarded_stir(void *device)
{
	struct scull_guarded *guarded = device;
	struct scull_opener *opener, *next;

	if (!scull_inject_gone(&guarded->dev.minor->inject))
		return;
	spin_lock(&guarded->lock);
	list_for_each_entry_safe(opener, next, &guarded->waiters, link) {
		opener->err = -ENODEV;
		list_del_init(&opener->link);
		complete(&opener->admitted);
	}
	spin_unlock(&guarded->lock);
}

static int scull_guarded_open(struct inode *inode, struct file *file)
{
	struct scull_guarded *guarded = file->private_data;
	int err;

	err = scull_guarded_enter(guarded, file);
	if (err)
		return err;
	err = scull_dev_open(&guarded->dev, file);
	if (err)
		scull_guarded_leave(guarded);
	return err;
}

static int scull_guarded_release(struct inode *inode, struct file *file)
{
	scull_guarded_leave(file->private_data);
	return scull_release(inode, file);
}

/* private_data is what scull_guarded_create() made. */
const struct file_operations scull_guarded_fops = {
	.owner		= THIS_MODULE,
	.open		= scull_guarded_open,
	.release	= scull_guarded_release,
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
 * scull_guarded_state - tell who has a device and who waits for it
 * @device:	the device
 * @state:	where @owner and @waiters are stored
 *
 * Return: 0.
 */
int scull_guarded_state(void *device, struct scull_state *state)
{
	struct scull_guarded *guarded = device;
	struct scull_opener *opener;

	state->waiters = 0;
	spin_lock(&guarded->lock);
	state->owner = guarded->opens ? guarded->owner : INVALID_UID;
	list_for_each_entry(opener, &guarded->waiters, link)
		state->waiters++;
	spin_unlock(&guarded->lock);
	return 0;
}

/**
 * scull_guarded_create - make a device with the policy of its type
 * @minor:	its entry
 *
 * May sleep.
 *
 * Return: the device or an ERR_PTR().
 */
void *scull_guarded_create(struct scull_minor *minor)
{
	struct scull_guarded *guarded = kzalloc(sizeof(*guarded), GFP_KERNEL);
	int err;

	if (!guarded)
		return ERR_PTR(-ENOMEM);
	err = scull_dev_init(&guarded->dev, minor);
	if (err) {
		kfree(guarded);
		return ERR_PTR(err);
	}
	guarded->policy = minor->type->policy;
	spin_lock_init(&guarded->lock);
	INIT_LIST_HEAD(&guarded->waiters);
	return guarded;
}

/**
 * struct scull_private - the device of one session on one terminal
 * @dev:	the device; first, so that what serves a bare device serves it
 * @home:	the list it is in
 * @link:	its place there, in the order of @id
 * @id:		a number that no other one has or had
 * @users:	files that have it open, and others that look at it; guarded by
 *		the lock of @home
 * @tty:	the terminal; held, so that no other one can take its address
 * @session:	the session that owned @tty when the device was made; held
 */
struct scull_private {
	struct scull_dev dev;
	struct scull_privates *home;
	struct list_head link;
	unsigned long id;
	unsigned int users;
	struct tty_struct *tty;
	struct pid *session;
};

/**
 * struct scull_privates - scullpriv: all private devices
 * @none:	an empty device, shown where there is no private one
 * @lock:	guards the fields that follow
 * @list:	the private devices
 * @last_id:	the id that was given last
 * @sweeper:	frees the dead ones; pending while @list is not empty
 */
struct scull_privates {
	struct scull_dev none;
	struct mutex lock;	/* the fields that follow */
	struct list_head list;
	unsigned long last_id;
	struct delayed_work sweeper;
};

/*
 * Is this the session that owns the terminal? Who closes his terminal loses it,
 * though the terminal goes on naming his session: but one that nobody has open
 * is never opened again, for the next open makes a new one.
 */
static bool scull_tty_is_owned(struct tty_struct *tty, struct pid *session)
{
	unsigned long flags;
	bool owned;

	spin_lock_irqsave(scull_tty_lock(tty), flags);
	/*
	 * The count is written under locks that are not for us. Who sees it late
	 * keeps a private device until the next sweep.
	 */
	owned = data_race(READ_ONCE(tty->count)) &&
		scull_tty_session(tty) == session;
	spin_unlock_irqrestore(scull_tty_lock(tty), flags);
	return owned;
}

static void scull_private_free(struct scull_private *private)
{
	pr_debug("%s: private device %lu ends\n", private->dev.minor->name,
		 private->id);
	scull_dev_exit(&private->dev);
	put_pid(private->session);
	tty_kref_put(private->tty);
	kfree(private);
}

static struct scull_private *scull_private_new(struct scull_privates *privates,
					       struct tty_struct *tty,
					       struct pid *session)
{
	struct scull_private *private = kzalloc(sizeof(*private), SCULL_GFP);

	if (!private)
		return NULL;
	if (scull_dev_init(&private->dev, privates->none.minor)) {
		kfree(private);
		return NULL;
	}
	private->home = privates;
	private->tty = tty_kref_get(tty);
	private->session = get_pid(session);
	return private;
}

/*
 * Moves to @dead what is over: nobody uses it, and its session has lost the
 * terminal. (A session that takes its terminal back later begins anew.)
 */
static void scull_privates_sweep(struct scull_privates *privates,
				 struct list_head *dead)
{
	struct scull_private *private, *next;

	lockdep_assert_held(&privates->lock);
	list_for_each_entry_safe(private, next, &privates->list, link) {
		if (private->users ||
		    scull_tty_is_owned(private->tty, private->session))
			continue;
		list_move(&private->link, dead);
	}
	if (!list_empty(&privates->list))
		schedule_delayed_work(&privates->sweeper, SCULL_PRIV_SWEEP);
}

static void scull_privates_bury(struct list_head *dead)
{
	struct scull_private *private, *next;

	list_for_each_entry_safe(private, next, dead, link)
		scull_private_free(private);
}

static void scull_privates_work(struct work_struct *work)
{
	struct scull_privates *privates =
		container_of(to_delayed_work(work), struct scull_privates,
			     sweeper);
	LIST_HEAD(dead);

	mutex_lock(&privates->lock);
	scull_privates_sweep(privates, &dead);
	mutex_unlock(&privates->lock);
	scull_privates_bury(&dead);
}

static struct scull_private *scull_private_find(struct scull_privates *privates,
						struct tty_struct *tty,
						struct pid *session)
{
	struct scull_private *private;

	lockdep_assert_held(&privates->lock);
	list_for_each_entry(private, &privates->list, link)
		if (private->tty == tty && private->session == session)
			return private;

	private = scull_private_new(privates, tty, session);
	if (!private)
		return ERR_PTR(-ENOMEM);
	private->id = ++privates->last_id;
	list_add_tail(&private->link, &privates->list);
	pr_debug("%s: private device %lu begins\n", privates->none.minor->name,
		 private->id);
	return private;
}

/* Finds or makes the private device of the caller, and holds it for him. */
static struct scull_private *scull_private_enter(struct scull_privates *privates,
						 struct tty_struct *tty,
						 struct pid *session)
{
	struct scull_private *private;
	LIST_HEAD(dead);

	if (mutex_lock_interruptible(&privates->lock))
		return ERR_PTR(-ERESTARTSYS);
	private = scull_private_find(privates, tty, session);
	if (!IS_ERR(private))
		private->users++;
	scull_privates_sweep(privates, &dead);
	mutex_unlock(&privates->lock);
	scull_privates_bury(&dead);
	return private;
}

static void scull_private_leave(struct scull_private *private)
{
	struct scull_privates *privates = private->home;
	LIST_HEAD(dead);

	mutex_lock(&privates->lock);
	private->users--;
	scull_privates_sweep(privates, &dead);
	mutex_unlock(&privates->lock);
	scull_privates_bury(&dead);
}

/*
 * The caller's device, by the terminal and the session that both he and the
 * terminal say he belongs to: a terminal that was hung up, or that another
 * session has taken over, is not his any more.
 */
static struct scull_private *
scull_private_of_caller(struct scull_privates *privates)
{
	struct scull_private *private = ERR_PTR(-EINVAL);
	struct tty_struct *tty = get_current_tty();
	struct pid *session;

	if (!tty)
		return private;
	rcu_read_lock();
	session = get_pid(task_session(current));
	rcu_read_unlock();
	if (session && scull_tty_is_owned(tty, session))
		private = scull_private_enter(privates, tty, session);
	put_pid(session);
	tty_kref_put(tty);
	return private;
}

static int scull_private_open(struct inode *inode, struct file *file)
{
	struct scull_private *private;
	int err;

	private = scull_private_of_caller(file->private_data);
	if (IS_ERR(private))
		return PTR_ERR(private);
	file->private_data = private;
	err = scull_dev_open(&private->dev, file);
	if (err)
		scull_private_leave(private);
	return err;
}

static int scull_private_release(struct inode *inode, struct file *file)
{
	struct scull_private *private = file->private_data;
	struct scull_minor *minor = private->dev.minor;

	scull_count(&minor->stats->closes);
	scull_private_leave(private);
	scull_minor_drop(minor);
	return 0;
}

/* private_data is what scull_privates_create() made. */
const struct file_operations scull_privates_fops = {
	.owner		= THIS_MODULE,
	.open		= scull_private_open,
	.release	= scull_private_release,
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
 * scull_privates_get - go through the private devices
 * @device:	what scull_privates_create() made
 * @id:		0, or one more than the id that the last call gave; the id of the
 *		device found is stored here
 *
 * May sleep.
 *
 * Return: the first private device whose id is not below @id, held until
 * scull_privates_put(); where there is none at all, an empty device of id 0;
 * NULL when there are no more.
 */
struct scull_dev *scull_privates_get(void *device, unsigned long *id)
{
	struct scull_privates *privates = device;
	struct scull_dev *dev = NULL;
	struct scull_private *private;

	mutex_lock(&privates->lock);
	if (list_empty(&privates->list) && !*id)
		dev = &privates->none;
	list_for_each_entry(private, &privates->list, link) {
		if (private->id < *id)
			continue;
		private->users++;
		*id = private->id;
		dev = &private->dev;
		break;
	}
	mutex_unlock(&privates->lock);
	return dev;
}

/**
 * scull_privates_put - let go what scull_privates_get() found
 * @device:	what scull_privates_create() made
 * @dev:	what was found
 *
 * May sleep.
 */
void scull_privates_put(void *device, struct scull_dev *dev)
{
	struct scull_privates *privates = device;

	if (dev != &privates->none)
		scull_private_leave(container_of(dev, struct scull_private,
						 dev));
}

/**
 * scull_privates_state - tell how many private devices there are
 * @device:	what scull_privates_create() made
 * @state:	where @devices is stored
 *
 * May sleep.
 *
 * Return: 0, or -EINTR if the caller was killed while he waited.
 */
int scull_privates_state(void *device, struct scull_state *state)
{
	struct scull_privates *privates = device;
	struct scull_private *private;

	if (mutex_lock_killable(&privates->lock))
		return -EINTR;
	state->devices = 0;
	list_for_each_entry(private, &privates->list, link)
		state->devices++;
	mutex_unlock(&privates->lock);
	return 0;
}

/**
 * scull_privates_create - make scullpriv, without any private device
 * @minor:	its entry
 *
 * May sleep.
 *
 * Return: the device or an ERR_PTR().
 */
void *scull_privates_create(struct scull_minor *minor)
{
	struct scull_privates *privates = kzalloc(sizeof(*privates), GFP_KERNEL);
	int err;

	if (!privates)
		return ERR_PTR(-ENOMEM);
	err = scull_dev_init(&privates->none, minor);
	if (err) {
		kfree(privates);
		return ERR_PTR(err);
	}
	mutex_init(&privates->lock);
	INIT_LIST_HEAD(&privates->list);
	INIT_DELAYED_WORK(&privates->sweeper, scull_privates_work);
	return privates;
}

/**
 * scull_privates_destroy - free scullpriv and all private devices
 * @device:	what scull_privates_create() made; nobody has a file of it open
 *
 * May sleep.
 */
void scull_privates_destroy(void *device)
{
	struct scull_privates *privates = device;

	cancel_delayed_work_sync(&privates->sweeper);
	scull_privates_bury(&privates->list);
	scull_dev_exit(&privates->none);
	kfree(privates);
}
