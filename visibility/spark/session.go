package spark

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/beltran/gohive/hiveserver"
)

const (
	// callTimeout bounds one call to the server; statements run besides.
	callTimeout = 2 * time.Minute
	// endTimeout bounds a call under way when its context ends: longer than
	// the five seconds for which the server lets a look at a statement last.
	endTimeout = 15 * time.Second
	// maxFrame bounds one message of the server, in bytes.
	maxFrame = 128 << 20
)

// session is a connection to the server with one session. It is not for
// concurrent use.
type session struct {
	addr   string
	conn   net.Conn
	client *hiveserver.TCLIServiceClient
	handle *hiveserver.TSessionHandle
	broken bool // the connection cannot be used any more
}

// dial connects and opens a session.
func dial(ctx context.Context, o *Options) (*session, error) {
	conn, err := dialConn(ctx, o)
	if err != nil {
		return nil, unavailable("connect to", o.Addr, err)
	}
	config := &thrift.TConfiguration{MaxFrameSize: maxFrame, MaxMessageSize: maxFrame}
	transport := thrift.NewTFramedTransportConf(thrift.NewStreamTransportRW(conn), config)
	s := &session{
		addr: o.Addr, conn: conn,
		client: hiveserver.NewTCLIServiceClientFactory(transport, thrift.NewTBinaryProtocolFactoryConf(config)),
	}
	user, password := credentials(o)
	err = s.call(ctx, func(ctx context.Context) (*hiveserver.TStatus, error) {
		if err := authenticate(conn, user, password); err != nil {
			return nil, err
		}
		r, err := s.client.OpenSession(ctx, &hiveserver.TOpenSessionReq{
			ClientProtocol: hiveserver.TProtocolVersion_HIVE_CLI_SERVICE_PROTOCOL_V6, Username: &user, Password: &password,
		})
		if err != nil {
			return nil, err
		}
		s.handle = r.SessionHandle
		return r.Status, nil
	})
	if err != nil {
		_ = conn.Close() // there is an error already
		return nil, fmt.Errorf("open a session: %w", err)
	}
	return s, nil
}

func dialConn(ctx context.Context, o *Options) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: callTimeout}
	if o.TLS != nil {
		return (&tls.Dialer{NetDialer: dialer, Config: o.TLS}).DialContext(ctx, "tcp", o.Addr)
	}
	return dialer.DialContext(ctx, "tcp", o.Addr)
}

// credentials returns what to log in with. A server that asks for none still
// wants both to have a value.
func credentials(o *Options) (user, password string) {
	return cmp.Or(o.User, "clover"), cmp.Or(o.Password, "none")
}

// The kinds of messages by which Thrift agrees on SASL.
const (
	saslStart    = 1
	saslOK       = 2
	saslComplete = 5
)

// maxSASL bounds an answer of the negotiation, in bytes.
const maxSASL = 64 << 10

// authenticate logs in by SASL PLAIN (RFC 4616) within Thrift's negotiation: a
// byte of kind, four of length, and the text.
func authenticate(conn io.ReadWriter, user, password string) error {
	message := func(kind byte, text string) []byte {
		m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(min(len(text), maxSASL)))
		return append(m, text...)
	}
	out := append(message(saslStart, "PLAIN"), message(saslOK, "\x00"+user+"\x00"+password)...)
	if _, err := conn.Write(out); err != nil {
		return err
	}
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxSASL {
		return errors.New("the server does not speak SASL; is it HiveServer2's binary protocol, with TLS as here?")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(conn, text); err != nil {
		return err
	}
	if head[0] != saslComplete {
		return fmt.Errorf("the server refuses the user: %s", text)
	}
	return nil
}

// call makes one call and judges its status. An error of the connection
// breaks the session.
func (s *session) call(ctx context.Context, do func(ctx context.Context) (*hiveserver.TStatus, error)) error {
	if s.broken {
		return unavailable("call", s.addr, net.ErrClosed)
	}
	// An error shows in the call itself.
	_ = s.conn.SetDeadline(time.Now().Add(callTimeout))
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Now().Add(endTimeout)) })
	// Thrift itself is not to look at ctx: a call that it gave up would leave
	// a statement that nobody knows.
	status, err := do(context.WithoutCancel(ctx))
	stop()
	if err != nil {
		s.broken = true
		return unavailable("call", s.addr, err)
	}
	switch status.GetStatusCode() {
	case hiveserver.TStatusCode_SUCCESS_STATUS, hiveserver.TStatusCode_SUCCESS_WITH_INFO_STATUS:
		return nil
	case hiveserver.TStatusCode_INVALID_HANDLE_STATUS:
		s.broken = true
	}
	return &Error{Message: status.GetErrorMessage(), SQLState: status.GetSqlState()}
}

// close ends the session and the connection. A server that is gone has ended
// the session itself.
func (s *session) close() {
	if !s.broken {
		_ = s.call(context.Background(), func(ctx context.Context) (*hiveserver.TStatus, error) {
			r, err := s.client.CloseSession(ctx, &hiveserver.TCloseSessionReq{SessionHandle: s.handle})
			if err != nil {
				return nil, err
			}
			return r.Status, nil
		})
	}
	s.broken = true
	_ = s.conn.Close()
}
