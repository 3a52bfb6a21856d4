package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// maxRedirects of a remote.
const maxRedirects = 5

// stayOnHTTPS is the redirect policy of the default client.
func stayOnHTTPS(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" {
		return fmt.Errorf("redirect to %s: %w", shown(r.URL), ErrInsecure)
	}
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

// shown is a URL for people: without its query and user, which may hold a
// secret.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// shown is the remote's URL for people.
func (r Remote) shown() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "a URL that cannot be read"
	}
	return shown(u)
}

// remote gets one URL.
func (l *loader) remote(ctx context.Context, r Remote) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Scheme != "https" || u.Host == "" {
		return ErrInsecure
	}
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	body, err := l.get(ctx, r.URL)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(body); r.SHA256 != "" && !strings.EqualFold(hex.EncodeToString(sum[:]), r.SHA256) {
		return fmt.Errorf("%w: got sha256 %x", ErrChecksum, sum)
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return l.archive(u, body)
	}
	return l.add(shown(u), body)
}

// get reads a body within the limit.
func (l *loader) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.Client.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		return nil, failed.Err // without the URL
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answer %s", resp.Status)
	}
	if resp.Request.URL.Scheme != "https" {
		return nil, ErrInsecure
	}
	return readLimited(resp.Body, l.left)
}

// readLimited reads all, or fails if there is more than left.
func readLimited(r io.Reader, left int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, left+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > left {
		return nil, fmt.Errorf("%w: raise MaxBytes if this is right", ErrTooLarge)
	}
	return text, nil
}

// archive reads the rule files of a .tar.gz, or the one of a .gz. Names in it
// are only names: nothing is written to disk.
func (l *loader) archive(u *url.URL, body []byte) error {
	name := shown(u)
	zipped, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(u.Path, ".tar.gz") && !strings.HasSuffix(u.Path, ".tgz") {
		text, err := readLimited(zipped, l.left)
		if err != nil {
			return err
		}
		return l.add(name, text)
	}
	// What is no rule file counts too: it has to be unpacked.
	limited := &io.LimitedReader{R: zipped, N: 4*l.left + 1<<20}
	files := tar.NewReader(limited)
	for {
		h, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && limited.N <= 0:
			return fmt.Errorf("%w: the archive", ErrTooLarge)
		case err != nil:
			return err
		}
		if h.Typeflag != tar.TypeReg || path.Ext(h.Name) != ".rules" {
			continue
		}
		text, err := readLimited(files, l.left)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if err := l.add(name+"!"+h.Name, text); err != nil {
			return err
		}
	}
}
