/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a packet's first byte to its ports, and over its transport header. */
// copy copies header bytes: at once where they are in the linear part and not
// far in, else by the kernel.
static __always_inline long copy(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (offset <= LINEAR) {
		void *from = data + offset;
		if (from + size <= end) {
			__builtin_memcpy(to, from, size);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, offset, to, size);
}

#define read(skb, offset, to) copy(skb, offset, to, sizeof(*(to)))

// ethernet finds the network header behind up to two VLAN tags that are in
// the frame; a tag that the network card took off is not in the frame.
static __always_inline __u16 ethernet(struct __sk_buff *skb, __u32 *offset)
{
	struct ethhdr eth;
	if (read(skb, 0, &eth) < 0)
		return 0;
	__u16 proto = eth.h_proto;
	*offset = sizeof(eth);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan_header tag;
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if (read(skb, *offset, &tag) < 0)
			return 0;
		proto = tag.proto;
		*offset += sizeof(tag);
	}
	return proto;
}

static __always_inline int ipv4(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
	struct iphdr ip;
	if (read(skb, offset, &ip) < 0 || ip.version != 4 || ip.ihl < 5)
		return MALFORMED;
	if (ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP)
		return OTHER;
	if (ip.frag_off & bpf_htons(0x3fff)) // more fragments, or not the first
		return FRAGMENTS;
	__u32 length = bpf_ntohs(ip.tot_len);
	p->transport = ip.protocol;
	p->family = 4;
	__builtin_memset(p->source, 0, sizeof(p->source));
	__builtin_memset(p->destination, 0, sizeof(p->destination));
	p->source[0] = ip.saddr;
	p->destination[0] = ip.daddr;
	p->header = offset + ip.ihl * 4;
	// 0: a super-packet whose length does not fit the field.
	p->end = length ? offset + length : skb->len;
	return p->end > skb->len ? MALFORMED : OK;
}

// extensions walks over the extension headers (RFC 8200, 4) to the transport.
static __always_inline int extensions(struct __sk_buff *skb, struct packet *p, __u8 next)
{
#pragma unroll
	for (int i = 0; i <= MAX_EXTENSIONS; i++) {
		struct extension ext;
		switch (next) {
		case IPPROTO_TCP:
		case IPPROTO_UDP:
			p->transport = next;
			return OK;
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
		case IPPROTO_HIP:
		case IPPROTO_SHIM6:
			break;
		default:
			return OTHER;
		}
		if (i == MAX_EXTENSIONS)
			return HEADERS;
		if (read(skb, p->header, &ext) < 0)
			return MALFORMED;
		if (next == IPPROTO_FRAGMENT) {
			if (ext.fragment & bpf_htons(0xfff9))
				return FRAGMENTS;
			p->header += 8;
		} else if (next == IPPROTO_AH) {
			p->header += (ext.length + 2) * 4;
		} else {
			p->header += (ext.length + 1) * 8;
		}
		next = ext.next;
	}
	return HEADERS;
}

static __always_inline int ipv6(struct __sk_buff *skb, __u32 offset, struct packet *p)
{
	struct ipv6hdr ip;
	if (read(skb, offset, &ip) < 0 || ip.version != 6)
		return MALFORMED;
	__u32 length = bpf_ntohs(ip.payload_len);
	p->family = 6;
	__builtin_memcpy(p->source, &ip.saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip.daddr, sizeof(p->destination));
	p->header = offset + sizeof(ip);
	p->end = length ? p->header + length : skb->len;
	if (p->end > skb->len)
		return MALFORMED;
	return extensions(skb, p, ip.nexthdr);
}

static __always_inline int network(struct __sk_buff *skb, __u32 flags, struct packet *p)
{
	__u32 offset = 0;
	__u16 proto = flags & TARGET_NO_ETHERNET ? skb->protocol : ethernet(skb, &offset);
	if (proto == bpf_htons(ETH_P_IP))
		return ipv4(skb, offset, p);
	if (proto == bpf_htons(ETH_P_IPV6))
		return ipv6(skb, offset, p);
	return OTHER;
}

// look parses a packet as far as its ports.
static __always_inline int look(struct __sk_buff *skb, __u32 flags, struct packet *p)
{
	__be16 pair[2];
	int verdict = network(skb, flags, p);
	if (verdict != OK)
		return verdict;
	if (read(skb, p->header, &pair) < 0)
		return MALFORMED;
	p->sport = bpf_ntohs(pair[0]);
	p->dport = bpf_ntohs(pair[1]);
	return OK;
}

// transport reads what the record says of the transport header.
static __always_inline int transport(struct __sk_buff *skb, struct packet *p, struct record *r)
{
	if (p->transport == IPPROTO_TCP) {
		struct tcp_header tcp;
		if (read(skb, p->header, &tcp) < 0)
			return MALFORMED;
		__u32 size = (tcp.offset >> 4) * 4;
		r->seq = bpf_ntohl(tcp.seq);
		r->ack = bpf_ntohl(tcp.ack);
		r->window = bpf_ntohs(tcp.window);
		p->flags = tcp.flags;
		p->header += size;
		return size < sizeof(tcp) || p->header > p->end ? MALFORMED : OK;
	}
	struct udphdr udp;
	if (read(skb, p->header, &udp) < 0)
		return MALFORMED;
	__u32 length = bpf_ntohs(udp.len);
	if (length >= sizeof(udp) && p->header + length <= p->end)
		p->end = p->header + length;
	else if (length != 0)
		return MALFORMED;
	p->header += sizeof(udp);
	r->seq = r->ack = r->window = 0;
	p->flags = 0;
	return p->header > p->end ? MALFORMED : OK;
}
