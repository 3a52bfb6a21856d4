// Command memcached is a plug-in of Clovisor: it makes sessions of memcached's
// text protocol. Build it as WebAssembly, put it into Clovisor's folder for
// plug-ins and name it in the configuration:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o memcached.wasm ./examples/clovisor/plugins/memcached
//	redis-cli HSET clovisor_proto_cfg memcached /proto/memcached.wasm
//	redis-cli PUBLISH clovisor_proto_plugin_cfg_chan memcached
package main

import "github.com/opnfv/clover/clovisor/plugin/guest"

func init() { guest.Register(parser{}) }

func main() {}
