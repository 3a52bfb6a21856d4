package manifest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/cloverctl/internal/manifest"
)

func TestReadsTheFilesThatUsersHave(t *testing.T) {
	for name, test := range map[string]struct {
		text      string
		got, want proto.Message
	}{
		"lbv2.yaml": {`
server_port: "9180"
server-name: "http-lb-v2"
lb_name: "http-lb-v2.default"
lb_group: "cloverlb"
lb_path: "/"
lb_list:
  - url: "clover-server4:9180"
  - url: "clover-server5:9180"
    weight: 2
    slow_start: 1m
    max_connections: "7"
    backup: true
`, &nginx.ModifyLBRequest{}, &nginx.ModifyLBRequest{
			ServerPort: "9180", ServerName: "http-lb-v2", LbName: "http-lb-v2.default", LbGroup: "cloverlb", LbPath: "/",
			LbList: []*nginx.Server{
				{Url: "clover-server4:9180"},
				{Url: "clover-server5:9180", Weight: 2, SlowStart: durationpb.New(time.Minute), MaxConnections: 7, Backup: true},
			},
		}},
		"server.yaml": {`
server_port: 9180
site_root: "/var/www/html"
locations: [{uri_match: "/clover/testurl", directive: "try_files $uri @default2", path: "/clover/testurl"}]
files: [{src_file: "/var/www/html/upload/0000000001", dest_file: var/www/html/clover/testurl/file1.png}]
`, &nginx.ModifyServerRequest{}, &nginx.ModifyServerRequest{
			ServerPort: "9180", SiteRoot: "/var/www/html",
			Locations: []*nginx.Location{{UriMatch: "/clover/testurl", Directive: "try_files $uri @default2", Path: "/clover/testurl"}},
			Files:     []*nginx.File{{SrcFile: "/var/www/html/upload/0000000001", DestFile: "var/www/html/clover/testurl/file1.png"}},
		}},
		"idsrule_scan.yaml": {`
sid: 10000003
protocol: tcp
dest_ip: $HOME_NET
msg: MALWARE-CNC User-Agent ASafaWeb Scan
rev: 001
content: '"asafaweb.com"' # '' = no content match
src_port:
`, &snort.AddRulesRequest{}, &snort.AddRulesRequest{
			Sid: "10000003", Protocol: "tcp", DestIp: "$HOME_NET", Msg: "MALWARE-CNC User-Agent ASafaWeb Scan", Rev: "001", Content: `"asafaweb.com"`,
		}},
		"a proxy": {"mirror_path: '-'\nblock: [192.0.2.1]\nif_version: 3\ndry_run: true", &nginx.ModifyProxyRequest{}, &nginx.ModifyProxyRequest{
			MirrorPath: "-", Block: []string{"192.0.2.1"}, IfVersion: 3, DryRun: true,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := manifest.Read([]byte(test.text), test.got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(test.got, test.want) {
				t.Errorf("got  %v\nwant %v", test.got, test.want)
			}
		})
	}
}

func TestSaysWhereAFaultIs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "empty; want some of server_port",
		"lb_list: [":                        "line 1, column 10: not YAML",
		"- a":                               "line 1, column 1: want a mapping with some of server_port",
		"lb_path: /\nlb_lisst: []":          "line 2, column 1: lb_lisst: is not known; want one of server_port",
		"lb_path: /\nlb-path: /a":           "line 2, column 1: lb-path: is there twice",
		"lb_path: [/]":                      "line 1, column 10: lb_path: want one value",
		"lb_list: x":                        "line 1, column 10: lb_list: want a list",
		"lb_list:\n- url: a:1\n  weight: x": `line 3, column 11: lb_list[0].weight: "x"; want a whole number`,
		"lb_list: [{slow_start: soon}]":     `lb_list[0].slow_start: "soon"; want seconds`,
		"dry_run: perhaps":                  `dry_run: "perhaps"; want true or false`,
		"if_version: -1":                    `if_version: "-1"; want a whole number, 0 or more`,
		"lb_path: /\n---\nlb_path: /b":      "a second document",
		"a: &x b\nlb_path: *x":              "lb_path: want one value",
		strings.Repeat("[", 100):            "line 1, column 1: nested too deeply",
		strings.Repeat(" ", 2<<20):          "2097152 bytes; at most",
	} {
		err := manifest.Read([]byte(text), &nginx.ModifyLBRequest{})
		var fault *manifest.Error
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("lb_list: [{url: a:1}]"))
	f.Add([]byte("? a\n: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m nginx.ModifyLBRequest
		if err := manifest.Read(data, &m); err == nil {
			if _, err := proto.Marshal(&m); err != nil {
				t.Error(err)
			}
		}
	})
}
