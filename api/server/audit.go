package server

import (
	"context"
	"log/slog"
	"regexp"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/opnfv/clover/api/server/auth"
)

// maxAuditedBytes bounds what of a request goes into the audit log.
const maxAuditedBytes = 2048

// audited is a call for the audit log.
type audited struct {
	caller
	access
	what    string // gRPC method, or HTTP method and path
	request any    // nil: not known
	began   time.Time
}

// audit logs a call that changes something, or that was refused.
func (s *Server) audit(ctx context.Context, a audited, err error) {
	code := status.Code(err)
	changes := !a.open && a.Verb != "" && a.Verb != auth.Get
	refused := code == codes.Unauthenticated || code == codes.PermissionDenied
	if !changes && !refused {
		return
	}
	if code == codes.Unauthenticated && s.strangers.take(addressKey(a.From)) > 0 {
		return // else anybody could fill the log
	}
	level, user := slog.LevelInfo, a.Identity.User
	if err != nil {
		level = slog.LevelWarn
	}
	if user == "" {
		user = "unknown"
	}
	attrs := []slog.Attr{
		slog.String("user", user), slog.String("call", a.what),
		slog.String("from", a.From), slog.String("outcome", code.String()), slog.String("request_id", a.RequestID),
		slog.Duration("took", time.Since(a.began)),
	}
	if needs := a.Permission; needs.Verb != "" {
		attrs = append(attrs, slog.String("permission", needs.String()))
	}
	if m, ok := a.request.(proto.Message); ok {
		attrs = append(attrs, slog.String("request", auditedRequest(m)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", status.Convert(err).Message()))
	}
	s.opts.Audit.LogAttrs(ctx, level, "audit", attrs...)
}

// urlPassword is what stands before the host of a URL.
var urlPassword = regexp.MustCompile(`://[^/@"\\]*@`)

// auditedRequest is a request without the passwords of its URLs.
func auditedRequest(m proto.Message) string {
	b, err := protojson.Marshal(m)
	if err != nil {
		return "not shown: " + err.Error()
	}
	b = urlPassword.ReplaceAll(b, []byte("://xxxxx@"))
	if len(b) > maxAuditedBytes {
		return string(b[:maxAuditedBytes]) + "…"
	}
	return string(b)
}
