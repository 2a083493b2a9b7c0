/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Indices of a ring buffer. Bytes enter at the index called head and leave at
 * the one called tail. Both run from 0 to twice the capacity of the ring and
 * then start over, so that a full ring and an empty one differ, no byte of it is
 * lost to that, and any capacity is allowed: it need not be a power of two.
 */
#ifndef _SCULL_RING_H
#define _SCULL_RING_H

/**
 * scull_ring_used - how many bytes are in a ring
 * @capacity:	how many it can hold, at most UINT_MAX / 3
 * @head:	where the next byte enters
 * @tail:	where the next byte leaves
 *
 * Return: the bytes from @tail to @head. At most @capacity if the two belong
 * together; of indices seen at different moments, maybe more.
 */
static inline unsigned int scull_ring_used(unsigned int capacity,
					   unsigned int head, unsigned int tail)
{
	return head >= tail ? head - tail : head + 2 * capacity - tail;
}

/**
 * scull_ring_advance - move an index
 * @capacity:	how many bytes the ring can hold
 * @index:	head or tail
 * @len:	by how many bytes, at most @capacity
 *
 * Return: the new index.
 */
static inline unsigned int scull_ring_advance(unsigned int capacity,
					      unsigned int index,
					      unsigned int len)
{
	index += len;
	return index < 2 * capacity ? index : index - 2 * capacity;
}

/**
 * scull_ring_offset - where in the buffer an index points
 * @capacity:	how many bytes the ring can hold
 * @index:	head or tail
 *
 * Return: an offset below @capacity. From there on the buffer is contiguous for
 * @capacity less that many bytes.
 */
static inline unsigned int scull_ring_offset(unsigned int capacity,
					     unsigned int index)
{
	return index < capacity ? index : index - capacity;
}

#endif /* _SCULL_RING_H */
