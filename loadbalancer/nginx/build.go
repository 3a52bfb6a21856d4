package nginx

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// plan is what a configuration is built for: the program, its folder, and
// what the driver was told.
type plan struct {
	program    program
	options    Options
	generation int
	ipv6       bool // the machine has it
}

// d and b make the nodes of the tree.
var (
	d = conf.D
	b = conf.B
)

// words are arguments.
func words(args ...string) []string { return args }

// drains reports whether clients are told to go before a reload.
func (p plan) drains() bool { return !p.program.version.atLeast(hasMinTimeout) }

func (p plan) file(name ...string) string {
	return filepath.Join(append([]string{p.options.Dir}, name...)...)
}

// build turns a configuration with its defaults into nginx's.
func (p plan) build(c loadbalancer.Config) []conf.Directive {
	tree := []conf.Directive{
		d("daemon", "off"),
		d("pid", p.file(pidFile)),
		d("error_log", p.file(logFile), "warn"),
		d("worker_processes", p.workers()),
		d("worker_shutdown_timeout", seconds(p.options.ShutdownTimeout)),
	}
	if p.options.User != "" {
		tree = append(tree, d("user", p.options.User))
	}
	return append(tree,
		b("events", nil, d("worker_connections", strconv.Itoa(p.options.WorkerConnections))),
		b("http", nil, p.http(c)...),
	)
}

func (p plan) workers() string {
	if p.options.Workers == 0 {
		return "auto"
	}
	return strconv.Itoa(p.options.Workers)
}

func (p plan) http(c loadbalancer.Config) []conf.Directive {
	list := []conf.Directive{
		d("access_log", "off"),
		d("server_tokens", "off"),
		d("default_type", "application/octet-stream"),
		mimeTypes(),
		d("client_max_body_size", "0"),
		d("recursive_error_pages", "on"),
		d("merge_slashes", "off"),
		d("server_names_hash_bucket_size", "512"),
		d("keepalive_timeout", seconds(p.options.KeepAlive)),
		d("keepalive_requests", "100000"),
	}
	if !p.drains() {
		list = append(list, d("keepalive_min_timeout", seconds(p.options.KeepAlive)))
	}
	list = append(list, p.tempFolders()...)
	if p.program.version.atLeast(hasTrailers) {
		list = append(list, d("proxy_pass_trailers", "on"))
	}
	list = append(list, proxyDefaults()...)
	list = append(list, access(c.Access)...)
	for _, g := range c.Groups {
		if usable(g) {
			list = append(list, hashMap(g)...)
			list = append(list, upstream(g))
		}
	}
	list = append(list, p.door())
	for _, l := range c.Listeners {
		list = append(list, p.servers(l, c)...)
	}
	return list
}

// tempFolders keep bodies that do not fit into memory in the driver's folder.
func (p plan) tempFolders() []conf.Directive {
	list := []conf.Directive{
		d("client_body_temp_path", p.file("temp", "body")),
		d("proxy_temp_path", p.file("temp", "proxy")),
	}
	for _, m := range []string{"fastcgi", "uwsgi", "scgi"} {
		if !p.program.without("http_" + m + "_module") {
			list = append(list, d(m+"_temp_path", p.file("temp", m)))
		}
	}
	return list
}

// proxyDefaults hold for every request that is passed on.
func proxyDefaults() []conf.Directive {
	list := []conf.Directive{
		b("map", words("$http_upgrade", "$clover_connection"), d("default", "upgrade"), d("", "")),
		b("map", words("$http_x_forwarded_for", "$clover_forwarded"),
			d("default", "$http_x_forwarded_for, $clover_client"), d("", "$clover_client")),
		d("proxy_http_version", "1.1"),
		// What arrives goes on at once, as streams and slow bodies need it.
		// It also keeps a request with a body from going to two servers.
		d("proxy_buffering", "off"),
		d("proxy_request_buffering", "off"),
		d("proxy_next_upstream", "error", "timeout"),
		d("grpc_next_upstream", "error", "timeout"),
		d("proxy_set_header", "Connection", "$clover_connection"),
		d("proxy_set_header", "Upgrade", "$http_upgrade"),
	}
	for _, module := range []string{"proxy", "grpc"} {
		list = append(list,
			d(module+"_set_header", "Host", "$http_host"),
			d(module+"_set_header", "X-Forwarded-For", "$clover_forwarded"),
			d(module+"_set_header", "X-Forwarded-Host", "$http_host"),
			d(module+"_set_header", "X-Forwarded-Proto", "$scheme"),
		)
	}
	return list
}

// door answers which generation a worker is of, and whether it sees that
// clients are to go.
func (p plan) door() conf.Directive {
	answer := "generation " + strconv.Itoa(p.generation) + " process $pid"
	return b("server", nil,
		d("listen", "unix:"+p.file(doorFile(p.generation))),
		d("keepalive_timeout", "0"),
		b("location", words("/"),
			d("default_type", "text/plain"),
			b("if", words("(-f", p.file(drainFile), ")"), d("return", "200", answer+" drains")),
			d("return", "200", answer),
		),
	)
}

// seconds writes a time as nginx reads it everywhere: in whole seconds,
// rounded up.
func seconds(t time.Duration) string {
	return strconv.FormatInt(int64((t+time.Second-1)/time.Second), 10) + "s"
}

// milliseconds is for the directives that take them.
func milliseconds(t time.Duration) string {
	return strconv.FormatInt(max(1, t.Milliseconds()), 10) + "ms"
}

// listen is the address of a listener, with those of both families if it is
// every address.
func (p plan) listen(l loadbalancer.Listener) [][]string {
	var options []string
	if l.CertFile != "" {
		options = append(options, "ssl")
		if !p.program.version.atLeast(hasHTTP2On) {
			options = append(options, "http2")
		}
	}
	host, port, _ := net.SplitHostPort(l.Address)
	if host != "" {
		return [][]string{append([]string{net.JoinHostPort(host, port)}, options...)}
	}
	list := [][]string{append([]string{"*:" + port}, options...)}
	if p.ipv6 {
		list = append(list, append([]string{"[::]:" + port}, options...))
	}
	return list
}

// mimeTypes are the types of the files of sites.
func mimeTypes() conf.Directive {
	list := []conf.Directive{}
	for line := range strings.Lines(fileTypes) {
		if f := strings.Fields(line); len(f) > 1 {
			list = append(list, d(f[0], f[1:]...))
		}
	}
	return b("types", nil, list...)
}

// fileTypes has a media type and the ends of its files' names a line.
const fileTypes = `
text/html html htm
text/css css
text/plain txt log
text/csv csv
text/xml xml
text/markdown md
text/javascript js mjs
application/json json map
application/pdf pdf
application/wasm wasm
application/zip zip
application/gzip gz tgz
application/yaml yaml yml
image/png png
image/jpeg jpg jpeg
image/gif gif
image/webp webp
image/svg+xml svg
image/x-icon ico
font/woff woff
font/woff2 woff2
audio/mpeg mp3
video/mp4 mp4
video/webm webm
`
