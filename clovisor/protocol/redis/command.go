package redis

import (
	"bytes"
	"strings"

	"github.com/opnfv/clover/clovisor/protocol"
)

// complete takes a whole command or reply.
func (p *Parser) complete(h *half, c *protocol.Chunk, end int64) {
	v := &h.value
	h.inValue = false
	h.open = h.open[:0]
	v.message.Complete = true
	v.message.Touch(c.Time)
	if cap(h.partial) > 256 {
		p.ctx.Use(-cap(h.partial))
		h.partial = nil
	}
	if c.From == protocol.Client {
		p.command(v)
		return
	}
	p.reply(v, end)
}

// command takes a command.
func (p *Parser) command(v *value) {
	if v.elements <= 0 {
		return // an empty array is no command
	}
	x := p.ctx.New()
	x.Protocol, x.Request = name, v.message
	command := bytes.ToUpper(v.word[0])
	x.Method = p.ctx.Bounded(command, 32)
	switch kindOf(x.Method) {
	case keyed:
		x.Target = p.ctx.String(v.word[1])
	case container:
		x.Target = p.ctx.String(bytes.ToUpper(v.word[1]))
	case subscribes:
		x.Target = p.ctx.String(v.word[1])
	}
	if p.unanswered(x, v) {
		p.ctx.Done(x, outcome(x))
		return
	}
	if p.queue.Full() {
		p.queue.Drain(func(x *protocol.Exchange) { p.ctx.Done(x, protocol.EvictedOutcome) })
		p.queue.RequestsLost(true)
	}
	if strings.HasSuffix(x.Method, "SUBSCRIBE") {
		// A confirmation for every channel that is named; to unsubscribe from all
		// there are as many as there are channels then, at least one.
		x.Replies = int(max(v.elements-1, 0))
	}
	p.queue.Push(x, v.start, v.acked)
}

// unanswered reports whether a command gets no reply because CLIENT REPLY says
// so: the next reply would be taken for its.
func (p *Parser) unanswered(x *protocol.Exchange, v *value) bool {
	if x.Method == "CLIENT" && x.Target == "REPLY" {
		switch string(bytes.ToUpper(v.word[2])) {
		case "ON":
			p.silent, p.skipped = false, 0
		case "OFF":
			p.silent = true
		case "SKIP":
			if !p.silent {
				p.skipped = 2 // this one and the next
			}
		}
	}
	if p.skipped > 0 {
		p.skipped--
		return true
	}
	return p.silent
}

// reply takes a reply, or what the server sends unasked.
func (p *Parser) reply(v *value, end int64) {
	kind := string(v.word[0])
	if v.kind == '>' || v.kind == '*' && p.subscribed {
		if strings.HasSuffix(kind, "subscribe") {
			p.confirmed(v, end)
			return
		}
		if v.kind == '>' || kind == "message" || kind == "pmessage" || kind == "smessage" {
			p.push(v)
			return
		}
	}
	if v.kind == '*' && strings.HasSuffix(kind, "subscribe") && v.elements == 3 {
		p.confirmed(v, end)
		return
	}
	x := p.pop(v)
	if x == nil {
		if p.monitor {
			p.push(v)
			return
		}
		x = p.ctx.New()
		x.Protocol, x.Outcome = name, protocol.Unrequested
		if p.gapped {
			x.Outcome = protocol.Gap
		}
	} else {
		p.queue.Answered(end)
	}
	x.Response = v.message
	if v.kind == '-' || v.kind == '!' {
		word, _, _ := bytes.Cut(v.word[0], []byte(" "))
		x.Attributes = append(x.Attributes, protocol.Attribute{Key: "db.response.status_code", Value: p.ctx.Bounded(word, 64)})
	}
	switch x.Method {
	case "MONITOR":
		p.monitor = true
	case "RESET":
		p.monitor, p.subscribed, p.channels, p.joined = false, false, [3]int64{}, false
	case "SYNC", "PSYNC": // what follows is another protocol
		p.ctx.Done(x, outcome(x))
		p.abandon(protocol.Undecodable)
		p.halves[0].state, p.halves[1].state = opaque, opaque
		return
	}
	p.ctx.Done(x, outcome(x))
}

func (p *Parser) pop(v *value) *protocol.Exchange {
	return p.queue.Pop(v.start, max(v.acked, 0), func(x *protocol.Exchange) {
		p.ctx.Done(x, protocol.Gap)
	})
}

// confirmed takes the confirmation of one channel of a SUBSCRIBE.
func (p *Parser) confirmed(v *value, end int64) {
	p.subscribed = v.number > 0
	subscribed := p.count(v)
	if p.sub == nil {
		if p.sub = p.pop(v); p.sub == nil {
			p.push(v)
			return
		}
		if p.confirm = p.sub.Replies; p.confirm == 0 {
			p.confirm = int(min(max(subscribed, 1), 1<<30))
		}
		p.sub.Response.First, p.sub.Response.Offset = v.message.First, v.message.Offset
	}
	m := &p.sub.Response
	m.Last, m.BodyBytes, m.Complete = v.message.Last, m.BodyBytes+v.message.BodyBytes, true
	m.Truncated = m.Truncated || v.message.Truncated
	if p.confirm--; p.confirm > 0 {
		return
	}
	x := p.sub
	p.sub = nil
	p.queue.Answered(end)
	p.ctx.Done(x, outcome(x))
}

// count follows how many channels, patterns and shard channels there are, which
// a confirmation tells: of channels and patterns together. It returns how many
// there were of the kind before it.
func (p *Parser) count(v *value) (before int64) {
	kind := 0
	switch string(v.word[0]) {
	case "psubscribe", "punsubscribe":
		kind = 1
	case "ssubscribe", "sunsubscribe":
		kind = 2
	}
	before = p.channels[kind]
	if p.joined { // what was subscribed to before is not known
		before = max(before, v.number+1)
	}
	others := int64(0)
	if kind < 2 {
		others = p.channels[1-kind]
	}
	p.channels[kind] = max(v.number-others, 0)
	return before
}

// push emits what the server sent unasked.
func (p *Parser) push(v *value) {
	x := p.ctx.New()
	x.Protocol, x.Response = name, v.message
	if v.kind == '>' || v.kind == '*' {
		x.Method = p.ctx.Bounded(v.word[0], 32)
		x.Target = p.ctx.String(v.word[1])
	}
	p.ctx.Done(x, protocol.Pushed)
}

func outcome(x *protocol.Exchange) protocol.Outcome {
	switch {
	case x.Outcome != "":
		return x.Outcome
	case x.Request.Truncated || x.Response.Truncated:
		return protocol.Truncated
	}
	return protocol.Paired
}

// kind says what the first argument of a command is.
type kind uint8

const (
	keyed      kind = iota // a key
	container              // another command
	subscribes             // a channel
	secret                 // nothing to show
)

var kinds = map[string]kind{
	"ACL": container, "CLIENT": container, "CLUSTER": container, "COMMAND": container, "CONFIG": container,
	"DEBUG": container, "FUNCTION": container, "LATENCY": container, "MEMORY": container, "MODULE": container,
	"OBJECT": container, "PUBSUB": container, "SCRIPT": container, "SLOWLOG": container, "XGROUP": container, "XINFO": container,
	"SUBSCRIBE": subscribes, "PSUBSCRIBE": subscribes, "SSUBSCRIBE": subscribes, "PUBLISH": subscribes, "SPUBLISH": subscribes,
	"UNSUBSCRIBE": subscribes, "PUNSUBSCRIBE": subscribes, "SUNSUBSCRIBE": subscribes,
	"AUTH": secret, "ECHO": secret, "EVAL": secret, "EVALSHA": secret, "EVAL_RO": secret, "EVALSHA_RO": secret,
	"FCALL": secret, "FCALL_RO": secret, "HELLO": secret, "MIGRATE": secret, "PING": secret, "RESTORE-ASKING": secret,
	"MULTI": secret, "EXEC": secret, "DISCARD": secret,
}

func kindOf(command string) kind { return kinds[command] }
