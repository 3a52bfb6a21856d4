package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/cloverctl/internal/manifest"
)

// TestFilesOfTheGuide reads each file that lies beside the program.
func TestFilesOfTheGuide(t *testing.T) {
	files, err := filepath.Glob("../../yaml/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%v, %v", files, err)
	}
	messages := map[string]func() proto.Message{
		"lb":     func() proto.Message { return &nginx.ModifyLBRequest{} },
		"server": func() proto.Message { return &nginx.ModifyServerRequest{} },
		"proxy":  func() proto.Message { return &nginx.ModifyProxyRequest{} },
		"ids":    func() proto.Message { return &snort.AddRulesRequest{} },
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		check(t, err)
		name := filepath.Base(file)
		if strings.HasSuffix(name, "_visibility.yaml") {
			_, err = readChange(file, nil)
		} else {
			for prefix, message := range messages {
				if strings.HasPrefix(name, prefix) {
					err = manifest.Read(data, message())
				}
			}
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if first, _, _ := strings.Cut(string(data), ":"); !strings.HasPrefix(first, "# cloverctl ") || !strings.HasSuffix(first, "-f "+name) {
			t.Errorf("%s does not begin with its command: %q", name, first)
		}
	}
}
