package loadbalancer

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadBalancer(t *testing.T) {
	want := BalancerUpdate{
		Port: "9180", Name: "http-lb-v2", Agent: "http-lb-v2.default", Group: "cloverlb", Path: "/",
		Servers: []Server{{Address: "clover-server4:9180"}, {Address: "clover-server5:9180"}},
	}
	numbers := strings.NewReplacer(`"9180"`, "9180", "_", "-", "server-port", "Server-Port").Replace(string(file(t, "lbv2.yaml")))
	for _, text := range []string{string(file(t, "lbv2.yaml")), numbers} {
		got, err := ReadBalancer([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
	}
	more, err := ReadBalancer([]byte(`
lb_list: [a:80, {url: "http://b:81/", weight: 2, state: drain, max_connections: "100", slow_start: 30s, backup: true}]
lb_method: least-connections
lb_hash: "header:X-User"
lb_health_path: /healthz
lb_health_interval: 2
`))
	if err != nil {
		t.Fatal(err)
	}
	full := Server{Address: "b:81", Weight: 2, State: Drain, MaxConnections: 100, SlowStart: 30 * time.Second, Backup: true}
	if !reflect.DeepEqual(more.Servers, []Server{{Address: "a:80"}, full}) || *more.Method != LeastConnections ||
		*more.Hash != (HashKey{Source: HashHeader, Name: "X-User"}) || more.HealthInterval != 2*time.Second {
		t.Errorf("%+v", more)
	}
}

func TestReadServerAndProxy(t *testing.T) {
	got, err := ReadServer(file(t, "server.yaml"))
	want := ServerUpdate{
		Port: "9180", Name: "clover-server1", Root: "/var/www/html", Index: "index.html", UploadPath: "/upload", UploadForm: "/upload_test",
		Locations: []Location{{Match: "/clover/testurl", Folder: "/clover/testurl", Try: Try{Files: []string{"$uri"}, Named: "default2"}}},
		Files:     []FileCopy{{Source: "/var/www/html/upload/0000000001", Destination: "var/www/html/clover/testurl/file1.png"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	proxy, err := ReadProxy([]byte("proxy_path: http://http-lb:9180\nmirror_path: '-'\nblock: [192.0.2.1, 2001:db8::/32]\nunblock: 192.0.2.2\n"))
	wantProxy := ProxyUpdate{
		Upstream: "http-lb:9180", Mirror: NoMirror,
		Block:   []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32")},
		Unblock: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")},
	}
	if err != nil || !reflect.DeepEqual(proxy, wantProxy) {
		t.Errorf("%+v, %v\nwant %+v", proxy, err, wantProxy)
	}
}

func TestReadFaults(t *testing.T) {
	balancer := func(data []byte) error { _, err := ReadBalancer(data); return err }
	server := func(data []byte) error { _, err := ReadServer(data); return err }
	proxy := func(data []byte) error { _, err := ReadProxy(data); return err }
	for _, test := range []struct {
		read       func([]byte) error
		text       string
		line, col  int
		field, msg string
	}{
		{balancer, "", 0, 0, "", "empty"},
		{balancer, "server_port: [1", 1, 14, "", "not YAML"},
		{balancer, "lb_group: g\nserver_port: 99999", 2, 14, "server_port", "1 to 65535"},
		{balancer, "lb_group: g\nport: 1", 2, 1, "port", "not known"},
		{balancer, "lb_group: g\nlb-group: g", 2, 1, "lb_group", "twice"},
		{balancer, "lb_group: {a: b}", 1, 11, "lb_group", "a mapping"},
		{balancer, "lb_list:\n- url: a:80\n- url: 'b:80; } http {'", 3, 8, "lb_list[1].url", "1 to 65535"},
		{balancer, "lb_list:\n- weight: 1", 2, 3, "lb_list[0].url", "missing"},
		{balancer, "lb_list: [{url: a:80, state: off}]", 1, 30, "lb_list[0].state", "drain, down"},
		{balancer, "lb_path: /a/../b", 1, 10, "lb_path", `".."`},
		{balancer, "lb_hash: header", 1, 10, "lb_hash", "letters"},
		{balancer, "lb_method: &m hash", 1, 12, "lb_method", "anchor"},
		{balancer, strings.Repeat("[", 100), 1, 1, "", "deep"},
		{server, "site_root: var/www", 1, 12, "site_root", "begins with /"},
		{server, "site_root: /var/../etc", 1, 12, "site_root", `".."`},
		{server, "site_index: ../secret", 1, 13, "site_index", "without a folder"},
		{server, "locations: [{uri_match: /a, directive: 'return 200 $host', path: /a}]", 1, 40, "locations[0].directive", "try_files"},
		{server, "locations: [{uri_match: /a, directive: 'try_files $uri; } server {'}]", 1, 40, "locations[0].directive", "$uri"},
		{server, "locations: [{uri_match: /a, directive: 'try_files $document_root/x'}]", 1, 40, "locations[0].directive", "$uri"},
		{server, "locations: [{uri_match: /a}]", 1, 13, "locations[0]", "needed"},
		{server, "files: [{src_file: ../../etc/passwd, dest_file: a}]", 1, 20, "files[0].src_file", `".."`},
		{proxy, "proxy_path: ftp://a:1", 1, 13, "proxy_path", "HOST:PORT"},
		{proxy, "block: [300.1.1.1]", 1, 9, "block[0]", "IP address"},
	} {
		err := test.read([]byte(test.text))
		var f *FieldError
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &f) {
			t.Errorf("%q: %v, want a FieldError", test.text, err)
			continue
		}
		if f.Line != test.line || f.Column != test.col || f.Field != test.field || !strings.Contains(f.Msg, test.msg) {
			t.Errorf("%q:\n%v, want line %d, column %d: %s: …%s…", test.text, f, test.line, test.col, test.field, test.msg)
		}
	}
}

// FuzzRead holds that what is read is valid, whatever the file.
func FuzzRead(f *testing.F) {
	f.Add(file(f, "lbv2.yaml"))
	f.Add(file(f, "server.yaml"))
	f.Add([]byte("proxy_path: a:80\nblock: [192.0.2.1]"))
	f.Add([]byte("locations: [{uri_match: /a, directive: 'try_files $uri $uri/ /x =404;', path: /b}]\nsite_root: /r"))
	f.Add([]byte("lb_list: [{url: 'a:1', state: down}]\nlb_hash: uri\nlb_method: hash"))
	f.Fuzz(func(t *testing.T, data []byte) {
		configs := map[string]Config{}
		if u, err := ReadBalancer(data); err == nil {
			configs["balancer"], err = u.Apply(Config{})
			if err != nil && !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
		} else if !errors.Is(err, ErrInvalid) {
			t.Fatalf("%v does not match ErrInvalid", err)
		}
		if u, err := ReadServer(data); err == nil && u.Root != "" {
			configs["server"], _ = u.Apply(Config{})
		}
		if u, err := ReadProxy(data); err == nil {
			configs["proxy"], _ = u.Apply(Config{})
		}
		for kind, c := range configs {
			if err := c.Validate(); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			for _, text := range texts(reflect.ValueOf(c)) {
				if strings.ContainsAny(strings.NewReplacer("$uri/", "", "$uri", "").Replace(text), "\"'`\\;{}$#\n\r\t \x00<>|") {
					t.Errorf("%s: %q came through", kind, text)
				}
			}
		}
	})
}

// texts returns every string of a value.
func texts(v reflect.Value) []string {
	var list []string
	switch v.Kind() {
	case reflect.String:
		list = append(list, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, texts(v.Index(i))...)
		}
	case reflect.Struct:
		if _, ok := v.Interface().(netip.Prefix); ok {
			return nil
		}
		for i := range v.NumField() {
			list = append(list, texts(v.Field(i))...)
		}
	}
	return list
}
