/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the kernel's half and its reader agree on; the same is in layout.go. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef IPPROTO_HIP
#define IPPROTO_HIP 139
#endif
#define IPPROTO_SHIM6 140

#define CHUNK 16384	     /* payload bytes a record may have */
#define CHUNKS 5	     /* of them that a program makes: 64 KiB and a little */
#define LINEAR 1024	     /* headers that begin later are left to the kernel */
#define MAX_EXTENSIONS 6     /* IPv6 extension headers that are walked */
#define EGRESS_FIXED_BITS 64 /* of an egress_key, before the address */

/* The low bits of the mark that a target's own program leaves. */
#define WAY_INGRESS 1
#define WAY_EGRESS 2
#define WAY_EITHER 3 /* loopback: the ports say which */

/* The places in programs. */
#define PROGRAM_TRACE 0
#define PROGRAM_MORE 1

#define DIRECTION_INGRESS 1
#define DIRECTION_EGRESS 2

#define TARGET_EGRESS 1
#define TARGET_EGRESS_ANY_PORT 2
#define TARGET_NO_ETHERNET 4

#define ROLE_LOCAL 1  /* the workload serves it */
#define ROLE_REMOTE 2 /* an egress rule names it */

#define RECORD_ELIDED 1
#define RECORD_TRUNCATED 2

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_PSH 8

enum counter {
	OK, /* as a verdict */
	PACKETS = 0,
	BYTES,
	OTHER,
	FRAGMENTS,
	MALFORMED,
	HEADERS,
	MATCHED,
	MATCHED_BYTES,
	ELIDED_BYTES,
	TRUNCATED_BYTES,
	RECORDS,
	LOST,
	LOST_BYTES,
	UNREADABLE,
	COUNTERS = 16,
};

struct counters {
	__u64 value[COUNTERS];
};

struct target {
	__u32 id;
	__u32 flags;
	__u32 wake; /* bytes in the ring that wake its reader */
	__u32 pad;
};

struct port_key {
	__u32 slot;
	__u16 port;
	__u8 transport;
	__u8 pad;
};

struct egress_key {
	__u32 prefix;
	__u32 slot;
	__u16 port; /* 0: any */
	__u8 transport;
	__u8 family;
	__u32 address[4];
};

struct flow_key {
	__u32 slot;
	__u16 sport, dport;
	__u8 transport, family;
	__u16 pad;
	__u32 source[4], destination[4];
};

struct flow {
	__u32 until; /* bytes before this sequence number are not needed */
	__u32 all;   /* none is needed any more */
};

struct record {
	__u64 time; /* ns, CLOCK_BOOTTIME by the ring, CLOCK_MONOTONIC by perf */
	__u32 target;
	__u32 seq, ack;
	__u32 length;	/* payload bytes that it stands for */
	__u32 captured; /* of which so many follow */
	__u16 window, sport, dport;
	__u8 flags, transport, family, direction, bits, pad;
	__u32 source[4], destination[4];
};

/* A packet being looked at. It is kept in a map and not on the stack, because
 * there the verifier does not tell one path through the parser from another,
 * of which there are too many. */
struct packet {
	__u32 header, end; /* offset of the next header, and of what follows the payload */
	__u32 slot;
	__u32 left;	   /* bytes of payload that no record stands for yet */
	__u16 sport, dport;
	__u8 transport, family, flags;
	__u32 source[4], destination[4];
};

struct work {
	struct packet packet;
	/* From here on it goes to user space. */
	struct record record;
	__u8 data[CHUNK];
};

struct vlan_header {
	__be16 tag, proto;
};

struct extension {
	__u8 next, length;
	__be16 fragment;
};

struct tcp_header {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window, sum, urgent;
};

/* Sizes that are 0 or 1 here are set by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct target);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct port_key);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct egress_key);
	__type(value, __u32);
} egress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} idle SEC(".maps");

/* The kernel empties it when no process holds it any more, so that a filter
 * that a killed process left lets packets pass and keeps nothing else alive. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

/* ring_flags wakes the reader for the first record after it went idle; more
 * often would be dear. Otherwise it looks by itself, and is woken only when the
 * ring fills up to a mark. */
static __always_inline __u64 ring_flags(__u64 size, __u32 wake)
{
	__u32 zero = 0, *waiting = bpf_map_lookup_elem(&idle, &zero);
	if (waiting && *waiting) {
		*waiting = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	__u64 before = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	return before < wake && before + size >= wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}
