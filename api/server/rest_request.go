package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// strictQuery reads query parameters and refuses those that Clover's messages
// do not have: a misspelt filter must not answer for everything.
type strictQuery struct{ runtime.DefaultQueryParser }

// useStrictQuery is called once: grpc-gateway has one parser for the process,
// so strictQuery leaves the messages of others alone.
var useStrictQuery = sync.OnceFunc(func() { runtime.SetQueryParameterParser(strictQuery{})(nil) })

// Parse implements runtime.QueryParameterParser. Its errors begin with the
// name of the parameter; requestError makes statuses of them.
func (q strictQuery) Parse(target proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	if !strings.HasPrefix(string(target.ProtoReflect().Descriptor().FullName()), "clover.") {
		return q.DefaultQueryParser.Parse(target, values, filter)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field := parameter(target.ProtoReflect().Descriptor(), name)
		if field == nil {
			return fmt.Errorf("%s: is not a parameter; /openapi.json describes those of this route", name)
		}
		given := values[name]
		if len(given) > 1 && !field.IsList() {
			return fmt.Errorf("%s: is given %d times; want one value", name, len(given))
		}
		if err := q.DefaultQueryParser.Parse(target, url.Values{name: given}, filter); err != nil {
			return fmt.Errorf("%s: %q is not %s", name, strings.Join(given, ", "), kindOf(field))
		}
	}
	return nil
}

// parameter returns the field that a parameter such as range.last names, nil
// if there is none.
func parameter(message protoreflect.MessageDescriptor, name string) (field protoreflect.FieldDescriptor) {
	for _, part := range strings.Split(name, ".") {
		if message == nil {
			return nil
		}
		if field = message.Fields().ByTextName(part); field == nil {
			return nil
		}
		message = field.Message()
	}
	return field
}

// kindOf says what the values of a parameter are.
func kindOf(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "a whole number, or is too large"
	case protoreflect.EnumKind:
		var names []string
		for i := range field.Enum().Values().Len() {
			names = append(names, string(field.Enum().Values().Get(i).Name()))
		}
		return "known; want one of " + strings.Join(names, ", ")
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case "google.protobuf.Timestamp":
			return "a time such as 2026-11-24T15:04:05Z"
		case "google.protobuf.Duration":
			return "a duration such as 900s or 15m"
		}
		return "a value; /openapi.json describes the parameters of this route"
	default:
		return fmt.Sprintf("a %s", field.Kind())
	}
}

// requestError answers as the gateway does, with details where the gateway
// itself refused a request: it knows a parameter or body to be wrong before
// the service sees it.
func requestError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	var already *runtime.HTTPStatusError
	if st := status.Convert(err); !errors.As(err, &already) && st.Code() == codes.InvalidArgument && len(st.Details()) == 0 {
		message := strings.ReplaceAll(st.Message(), "\u00a0", " ")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			err = invalid(message)
		} else {
			err = invalidIn("body", "body: "+strings.TrimPrefix(message, "proto: ")+"; /openapi.json describes the body of this route")
		}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
}

// routingError is the gateway's, but for its 501 to a method that a route
// does not have.
func routingError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, httpStatus int) {
	if httpStatus != http.StatusMethodNotAllowed {
		runtime.DefaultRoutingErrorHandler(ctx, mux, m, w, r, httpStatus)
		return
	}
	refuse(w, httpStatus, codes.Unimplemented, fmt.Sprintf("%s does not have the method %s; /openapi.json has those of each route", r.URL.Path, r.Method))
}
