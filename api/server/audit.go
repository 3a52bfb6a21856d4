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
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

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

// withoutSecrets is a message without the fields that are marked with
// debug_redact.
func withoutSecrets(m proto.Message) proto.Message {
	var secret []protoreflect.FieldDescriptor
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if o, ok := f.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() {
			secret = append(secret, f)
		}
		return true
	})
	if len(secret) == 0 {
		return m
	}
	m = proto.Clone(m)
	for _, f := range secret {
		m.ProtoReflect().Clear(f)
	}
	return m
}

// auditedRequest is a request without its secrets and the passwords of its
// URLs.
func auditedRequest(m proto.Message) string {
	b, err := protojson.Marshal(withoutSecrets(m))
	if err != nil {
		return "not shown: " + err.Error()
	}
	b = urlPassword.ReplaceAll(b, []byte("://xxxxx@"))
	if len(b) > maxAuditedBytes {
		return string(b[:maxAuditedBytes]) + "…"
	}
	return string(b)
}
