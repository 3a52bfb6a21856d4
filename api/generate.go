// Package api holds the definitions of Clover's services: protobuf for gRPC,
// http.yaml for the same methods on REST. The packages below it are
// generated from them; server implements them.
package api

import _ "embed" // for OpenAPI

//go:generate sh generate.sh

// OpenAPI is the description of the REST API, in OpenAPI 2.0 as the generator
// of grpc-gateway writes it.
//
//go:embed openapi.swagger.json
var OpenAPI []byte
