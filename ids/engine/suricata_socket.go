package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// socketVersion is the version of the protocol that Clover speaks: each
// message is a JSON value that ends with a line feed. Suricata has it since
// version 4.1.
const socketVersion = "0.2"

// maxAnswer bounds one answer of the engine; the counters of many threads
// are the longest.
const maxAnswer = 64 << 20

// CommandError is what Suricata answers to a command that it refuses.
type CommandError struct {
	Command string
	Message string // the engine's own words
}

func (e *CommandError) Error() string { return "suricata: " + e.Command + ": " + e.Message }

// socketAnswer is Suricata's answer to the version and to each command.
type socketAnswer struct {
	Return  string          `json:"return"`
	Message json.RawMessage `json:"message"`
}

// command asks the engine at a unix socket, and reads the message of the
// answer into out unless that is nil. Each command has a connection of its
// own, so that one which takes long does not hold up another.
func command(ctx context.Context, socket, name string, out any) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("suricata: %s: %w: %w", name, ErrNotRunning, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	talk := json.NewEncoder(conn)
	answers := json.NewDecoder(&boundedReader{conn, maxAnswer})
	if err := exchange(talk, answers, map[string]string{"version": socketVersion}, "version", nil); err != nil {
		return withCause(ctx, err)
	}
	return withCause(ctx, exchange(talk, answers, map[string]string{"command": name}, name, out))
}

// withCause says that ctx has ended where that is why.
func withCause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return err
}

func exchange(talk *json.Encoder, answers *json.Decoder, question map[string]string, name string, out any) error {
	if err := talk.Encode(question); err != nil {
		return fmt.Errorf("suricata: %s: %w", name, err)
	}
	var a socketAnswer
	if err := answers.Decode(&a); err != nil {
		return fmt.Errorf("suricata: %s: read the answer: %w", name, err)
	}
	if a.Return != "OK" {
		var text string
		if json.Unmarshal(a.Message, &text) != nil {
			text = string(a.Message)
		}
		return &CommandError{Command: name, Message: text}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.Message, out); err != nil {
		return fmt.Errorf("suricata: %s: the answer is %.200s: %w", name, a.Message, err)
	}
	return nil
}

// boundedReader ends with an error when more is read than may be.
type boundedReader struct {
	conn net.Conn
	left int
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errors.New("the answer is too long")
	}
	n, err := r.conn.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
