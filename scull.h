/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface of scull: the ioctl commands with their numbers, and the
 * defaults of the module parameters. Programs compile against this file as it
 * stands; the driver includes it too. Numbers, names and argument forms are
 * those of the book, so a program built for the book's driver runs unchanged.
 */
#ifndef _SCULL_H
#define _SCULL_H

#include <linux/ioctl.h>

/*
 * Defaults of the module parameters of the same names. Each may be replaced at
 * compile time, for example with make KCFLAGS=-DSCULL_QUANTUM=512.
 */

/* Major number; 0 lets the kernel choose one. */
#ifndef SCULL_MAJOR
#define SCULL_MAJOR 0
#endif

/* First minor number. */
#ifndef SCULL_MINOR
#define SCULL_MINOR 0
#endif

/* How many bare devices: scull0 and up. */
#ifndef SCULL_NR_DEVS
#define SCULL_NR_DEVS 4
#endif

/* How many pipes: scullpipe0 and up. */
#ifndef SCULL_P_NR_DEVS
#define SCULL_P_NR_DEVS 4
#endif

/* Bytes in a quantum, the unit in which a device's memory is allocated. */
#ifndef SCULL_QUANTUM
#define SCULL_QUANTUM 4000
#endif

/* Quanta in a set, the unit in which a device's memory is indexed. */
#ifndef SCULL_QSET
#define SCULL_QSET 1000
#endif

/* Bytes a pipe holds. */
#ifndef SCULL_P_BUFFER
#define SCULL_P_BUFFER 65536
#endif

/*
 * The letter after SCULL_IOC says how a command takes and gives its value:
 *
 *	S	Set:      the argument points to the new value
 *	T	Tell:     the argument is the new value
 *	G	Get:      the value is stored where the argument points
 *	Q	Query:    the value is the return value
 *	X	eXchange: Set and Get in one step
 *	H	sHift:    Tell and Query in one step
 *
 * A new value is used by each device from its next trim on. Changing a value
 * needs CAP_SYS_ADMIN.
 */
#define SCULL_IOC_MAGIC		'k'

/* Every value back to its compiled-in default. */
#define SCULL_IOCRESET		_IO(SCULL_IOC_MAGIC, 0)

#define SCULL_IOCSQUANTUM	_IOW(SCULL_IOC_MAGIC, 1, int)
#define SCULL_IOCSQSET		_IOW(SCULL_IOC_MAGIC, 2, int)
#define SCULL_IOCTQUANTUM	_IO(SCULL_IOC_MAGIC, 3)
#define SCULL_IOCTQSET		_IO(SCULL_IOC_MAGIC, 4)
#define SCULL_IOCGQUANTUM	_IOR(SCULL_IOC_MAGIC, 5, int)
#define SCULL_IOCGQSET		_IOR(SCULL_IOC_MAGIC, 6, int)
#define SCULL_IOCQQUANTUM	_IO(SCULL_IOC_MAGIC, 7)
#define SCULL_IOCQQSET		_IO(SCULL_IOC_MAGIC, 8)
#define SCULL_IOCXQUANTUM	_IOWR(SCULL_IOC_MAGIC, 9, int)
#define SCULL_IOCXQSET		_IOWR(SCULL_IOC_MAGIC, 10, int)
#define SCULL_IOCHQUANTUM	_IO(SCULL_IOC_MAGIC, 11)
#define SCULL_IOCHQSET		_IO(SCULL_IOC_MAGIC, 12)

/* Bytes a pipe holds, Tell and Query: used at the next first open of a pipe. */
#define SCULL_P_IOCTSIZE	_IO(SCULL_IOC_MAGIC, 13)
#define SCULL_P_IOCQSIZE	_IO(SCULL_IOC_MAGIC, 14)

/* The highest number among the commands. */
#define SCULL_IOC_MAXNR		14

#endif /* _SCULL_H */
