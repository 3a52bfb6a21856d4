// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The kernel's half of a capture. Every target has a program of a few
// instructions of its own (made in Go) that leaves the target's slot in cb[0]
// and tail-calls one of the programs at the end of this file.
//
// Only __sk_buff is read, whose layout is part of the kernel's stable
// interface, so that one object fits every kernel, with or without BTF.
#include "tracer.h"
#include "parse.h"

static __always_inline void count(struct counters *c, __u32 what, __u64 n)
{
	c->value[what] += n;
}

// wanted says what a target wants of a port.
static __always_inline __u32 wanted(__u32 slot, __u8 transport, __u16 port)
{
	struct port_key key = { .slot = slot, .port = port, .transport = transport };
	__u32 *roles = bpf_map_lookup_elem(&ports, &key);
	return roles ? *roles : 0;
}

static __always_inline int egress_match(__u32 slot, struct packet *p, __u16 port, __u32 *address)
{
	struct egress_key key = {
		.prefix = EGRESS_FIXED_BITS + 128, .slot = slot,
		.port = port, .transport = p->transport, .family = p->family,
	};
	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&egress, &key) != 0;
}

// outside reports whether the remote end matches an egress rule.
static __always_inline int outside(__u32 slot, __u32 flags, struct packet *p, __u16 port, __u32 *address)
{
	if (!(flags & TARGET_EGRESS))
		return 0;
	if (wanted(slot, p->transport, port) & ROLE_REMOTE && egress_match(slot, p, port, address))
		return 1;
	return flags & TARGET_EGRESS_ANY_PORT && egress_match(slot, p, 0, address);
}

// direction says which way a packet goes that the target wants, 0: it does
// not want it.
static __always_inline __u8 direction(__u32 slot, __u32 flags, __u8 way, struct packet *p)
{
	if (way != WAY_EGRESS) {
		if (wanted(slot, p->transport, p->dport) & ROLE_LOCAL)
			return DIRECTION_INGRESS;
		if (outside(slot, flags, p, p->sport, p->source))
			return DIRECTION_INGRESS;
	}
	if (way != WAY_INGRESS) {
		if (wanted(slot, p->transport, p->sport) & ROLE_LOCAL)
			return DIRECTION_EGRESS;
		if (outside(slot, flags, p, p->dport, p->destination))
			return DIRECTION_EGRESS;
	}
	return 0;
}

// skipped returns how many of the next bytes nobody needs.
static __always_inline __u32 skipped(struct packet *p, struct record *r)
{
	struct flow_key key = {
		.slot = p->slot, .sport = p->sport, .dport = p->dport,
		.transport = p->transport, .family = p->family,
	};
	__builtin_memcpy(key.source, p->source, sizeof(key.source));
	__builtin_memcpy(key.destination, p->destination, sizeof(key.destination));
	struct flow *f = bpf_map_lookup_elem(&flows, &key);
	if (!f)
		return 0;
	__s32 n = f->until - r->seq;
	// A new connection with the same ports, or one that is past that point:
	// after another 2 GiB it would seem to be before it again.
	if (p->flags & TCP_SYN || (!f->all && n <= 0)) {
		bpf_map_delete_elem(&flows, &key);
		return 0;
	}
	return f->all || (__u32)n > p->left ? p->left : (__u32)n;
}

// output hands the record on, with captured bytes of the payload to come.
static __always_inline void output(struct __sk_buff *skb, struct work *w, struct counters *c,
				   struct target *t, __u32 captured, const int perf)
{
	struct record *r = &w->record;
	__u64 size = sizeof(*r);
	if (captured > 0) {
		// From 1 to CHUNK it is already: this is for the verifier, and the
		// assembler line keeps the compiler from seeing that.
		__u64 n = captured;
		asm volatile("" : "+r"(n));
		n = ((n - 1) & (CHUNK - 1)) + 1;
		if (bpf_skb_load_bytes(skb, w->packet.end - w->packet.left, w->data, n) < 0) {
			count(c, UNREADABLE, r->length);
			captured = 0;
			r->bits |= RECORD_TRUNCATED;
		} else {
			size += n;
		}
	}
	r->captured = captured;
	long err;
	if (perf)
		err = bpf_perf_event_output(skb, &events, BPF_F_CURRENT_CPU, r, size);
	else
		err = bpf_ringbuf_output(&ring, r, size, ring_flags(size, t->wake));
	if (err < 0) {
		count(c, LOST, 1);
		count(c, LOST_BYTES, r->length);
	} else {
		count(c, RECORDS, 1);
	}
}

// piece makes a record that stands for the next n bytes of payload.
static __always_inline void piece(struct __sk_buff *skb, struct work *w, struct counters *c,
				  struct target *t, __u32 n, __u32 captured, __u8 bits, const int perf)
{
	struct packet *p = &w->packet;
	struct record *r = &w->record;
	r->length = n;
	r->bits = bits;
	// What ends a segment is said with its last piece.
	r->flags = n == p->left ? p->flags : p->flags & ~(TCP_FIN | TCP_RST | TCP_PSH);
	output(skb, w, c, t, captured, perf);
	r->seq += n + (p->flags & TCP_SYN ? 1 : 0);
	p->flags &= ~TCP_SYN;
	p->left -= n;
}

// chunk makes a record of as much as fits into one.
static __always_inline int chunk(struct __sk_buff *skb, struct work *w, struct counters *c,
				 struct target *t, const int perf)
{
	__u32 n = w->packet.left;
	if (n == 0)
		return 0;
	if (n > CHUNK)
		n = CHUNK;
	piece(skb, w, c, t, n, n, 0, perf);
	return 1;
}

// chunks makes records of the payload that is left. What is too much for one
// program, a super-packet of more than 64 KiB (BIG TCP), the next one goes on
// with: a loop would take the verifier a second.
static __always_inline int chunks(struct __sk_buff *skb, struct work *w, struct counters *c,
				  struct target *t, const int perf)
{
#pragma unroll
	for (int i = 0; i < CHUNKS; i++)
		if (!chunk(skb, w, c, t, perf))
			return TC_ACT_UNSPEC;
	if (w->packet.left > 0) {
		bpf_tail_call(skb, &programs, PROGRAM_MORE);
		count(c, TRUNCATED_BYTES, w->packet.left);
		piece(skb, w, c, t, w->packet.left, 0, RECORD_TRUNCATED, perf);
	}
	return TC_ACT_UNSPEC;
}

// deliver makes records of a packet's payload.
static __always_inline int deliver(struct __sk_buff *skb, struct work *w, struct counters *c,
				   struct target *t, const int perf)
{
	__u32 skip = skipped(&w->packet, &w->record);
	if (skip > 0) {
		count(c, ELIDED_BYTES, skip);
		piece(skb, w, c, t, skip, 0, RECORD_ELIDED, perf);
	} else if (w->packet.left == 0) {
		piece(skb, w, c, t, 0, 0, 0, perf);
	}
	return chunks(skb, w, c, t, perf);
}

static __always_inline int trace(struct __sk_buff *skb, const int perf)
{
	__u32 mark = skb->cb[0], slot = mark >> 2, zero = 0;
	struct target *t = bpf_map_lookup_elem(&targets, &slot);
	struct counters *c = bpf_map_lookup_elem(&counters, &slot);
	struct work *w = bpf_map_lookup_elem(&scratch, &zero);
	if (!t || !c || !w)
		return TC_ACT_UNSPEC;
	struct packet *p = &w->packet;
	struct record *r = &w->record;
	skb->cb[0] = 0;
	count(c, PACKETS, 1);
	count(c, BYTES, skb->len);
	int verdict = look(skb, t->flags, p);
	if (verdict != OK) {
		count(c, verdict, 1);
		return TC_ACT_UNSPEC;
	}
	r->direction = direction(slot, t->flags, mark & 3, p);
	if (!r->direction)
		return TC_ACT_UNSPEC;
	count(c, MATCHED, 1);
	verdict = transport(skb, p, r);
	if (verdict != OK) {
		count(c, verdict, 1);
		return TC_ACT_UNSPEC;
	}
	p->left = p->end - p->header;
	count(c, MATCHED_BYTES, p->left);
	// The clock that goes on while the machine sleeps is as old as the ring.
	r->time = perf ? bpf_ktime_get_ns() : bpf_ktime_get_boot_ns();
	r->target = t->id;
	r->sport = p->sport;
	r->dport = p->dport;
	r->transport = p->transport;
	r->family = p->family;
	__builtin_memcpy(r->source, p->source, sizeof(p->source));
	__builtin_memcpy(r->destination, p->destination, sizeof(p->destination));
	p->slot = slot;
	return deliver(skb, w, c, t, perf);
}

// more goes on with a packet.
static __always_inline int more(struct __sk_buff *skb, const int perf)
{
	__u32 zero = 0;
	struct work *w = bpf_map_lookup_elem(&scratch, &zero);
	if (!w)
		return TC_ACT_UNSPEC;
	__u32 slot = w->packet.slot;
	struct target *t = bpf_map_lookup_elem(&targets, &slot);
	struct counters *c = bpf_map_lookup_elem(&counters, &slot);
	if (!t || !c)
		return TC_ACT_UNSPEC;
	return chunks(skb, w, c, t, perf);
}

SEC("tc")
int trace_ring(struct __sk_buff *skb)
{
	return trace(skb, 0);
}

SEC("tc")
int trace_perf(struct __sk_buff *skb)
{
	return trace(skb, 1);
}

SEC("tc")
int more_ring(struct __sk_buff *skb)
{
	return more(skb, 0);
}

SEC("tc")
int more_perf(struct __sk_buff *skb)
{
	return more(skb, 1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
