// Package s3 keeps the Parquet files of package parquet in S3, Amazon's or any
// other that speaks its protocol.
//
// A file appears there as a whole because an upload does, and the manifest
// comes last. Instead of a lock there are conditional uploads: of two exports
// into one folder the second to write the manifest is refused.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

// Options say where a folder is and how it is reached.
type Options struct {
	// URL of the folder: s3://BUCKET or s3://BUCKET/PREFIX; s3a:// is taken
	// too. The bucket must exist.
	URL string
	// Endpoint is the URL of the service; its scheme says whether there is
	// TLS. "": Amazon's.
	Endpoint string
	// Region of the bucket. "": it is asked for.
	Region string
	// AccessKey, SecretKey and, for those that are only lent, SessionToken.
	// Without AccessKey they are looked for where Amazon's tools do: in the
	// environment, in ~/.aws/credentials, and by the role of the machine or
	// pod.
	AccessKey, SecretKey, SessionToken string
	// Transport makes the requests. nil: one of its own.
	Transport http.RoundTripper
}

// FromEnvironment are the Options for a URL with what Amazon's tools take from
// the environment: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION or
// AWS_DEFAULT_REGION, and the credentials.
func FromEnvironment(folder string) Options {
	return Options{
		URL:      folder,
		Endpoint: cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")),
		Region:   cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	}
}

// amazon is where Amazon answers.
const amazon = "https://s3.amazonaws.com"

// Folder is a folder in S3. Its methods may be called concurrently.
type Folder struct {
	client         *minio.Client
	bucket, prefix string // the prefix ends with a slash, or is ""
	url            string

	mu   sync.Mutex
	seen map[string]string // ETags of what Read has read or Replace replaced; "": there was nothing
}

var _ parquet.Folder = (*Folder)(nil)

// Open returns the folder that o names. It makes no request. Errors match
// visibility.ErrInvalid.
func Open(o Options) (*Folder, error) {
	at, err := url.Parse(o.URL)
	if err != nil || (at.Scheme != "s3" && at.Scheme != "s3a") || at.Host == "" || at.User != nil || at.RawQuery != "" {
		return nil, fmt.Errorf("s3: %q: want s3://BUCKET/PREFIX: %w", o.URL, visibility.ErrInvalid)
	}
	service, err := url.Parse(cmp.Or(o.Endpoint, amazon))
	if err != nil || service.Host == "" || service.User != nil || (service.Scheme != "http" && service.Scheme != "https") || strings.Trim(service.Path, "/") != "" {
		return nil, fmt.Errorf("s3: endpoint %q: want a URL as http://s3.example:9000: %w", o.Endpoint, visibility.ErrInvalid)
	}
	keys := credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	if o.AccessKey == "" {
		keys = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	client, err := minio.New(service.Host, &minio.Options{
		Creds: keys, Secure: service.Scheme == "https", Region: o.Region, Transport: o.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w: %w", visibility.ErrInvalid, err)
	}
	prefix := strings.Trim(at.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &Folder{client: client, bucket: at.Host, prefix: prefix, url: o.URL, seen: map[string]string{}}, nil
}

// String implements parquet.Folder.
func (f *Folder) String() string { return f.url }

// maxSmall bounds what Read reads, in bytes: a manifest with a million files.
const maxSmall = 256 << 20

// Read implements parquet.Folder.
func (f *Folder) Read(ctx context.Context, name string) ([]byte, error) {
	object, err := f.client.GetObject(ctx, f.bucket, f.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, f.fault(name, err)
	}
	defer func() { _ = object.Close() }()
	data, err := io.ReadAll(io.LimitReader(object, maxSmall+1))
	if err == nil && len(data) > maxSmall {
		err = fmt.Errorf("it has more than %d bytes", maxSmall)
	}
	var info minio.ObjectInfo
	if err == nil {
		info, err = object.Stat()
	}
	if err = f.fault(name, err); err == nil || errors.Is(err, fs.ErrNotExist) {
		f.see(name, info.ETag)
	}
	return data, err
}

func (f *Folder) see(name, etag string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[name] = etag
}

// Open implements parquet.Folder: it fetches the file onto the local disk.
func (f *Folder) Open(ctx context.Context, name string) (parquet.Reader, error) {
	object, err := f.client.GetObject(ctx, f.bucket, f.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, f.fault(name, err)
	}
	defer func() { _ = object.Close() }()
	local, err := newTemporary()
	if err != nil {
		return nil, err
	}
	if local.size, err = io.Copy(local.File, object); err != nil {
		return nil, errors.Join(f.fault(name, err), local.Close())
	}
	return local, nil
}

// partSize is the size of an object above which it is uploaded in parts.
const partSize = 1 << 30

// Replace implements parquet.Folder: what is whole on the local disk is
// uploaded. After a failure the old file may be there or the new one.
func (f *Folder) Replace(ctx context.Context, name string, write func(io.Writer) error) (err error) {
	local, err := newTemporary()
	if err != nil {
		return err
	}
	defer func() { _ = local.Close() }() // what it has is uploaded or not wanted
	if err := write(local); err != nil {
		return err
	}
	size, err := local.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = local.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partSize, NumThreads: 1}
	f.mu.Lock()
	was, known := f.seen[name]
	f.mu.Unlock()
	switch {
	case known && was == "":
		o.SetMatchETagExcept("*")
	case known:
		o.SetMatchETag(was)
	}
	info, err := f.client.PutObject(ctx, f.bucket, f.prefix+name, local, size, o)
	if err != nil {
		return f.fault(name, err)
	}
	if known {
		f.see(name, info.ETag)
	}
	return nil
}

// Remove implements parquet.Folder.
func (f *Folder) Remove(ctx context.Context, name string) error {
	return f.fault(name, f.client.RemoveObject(ctx, f.bucket, f.prefix+name, minio.RemoveObjectOptions{}))
}

// List implements parquet.Folder.
func (f *Folder) List(ctx context.Context) ([]parquet.Entry, error) {
	var list []parquet.Entry
	for object := range f.client.ListObjectsIter(ctx, f.bucket, minio.ListObjectsOptions{Prefix: f.prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, f.fault("", object.Err)
		}
		if name := strings.TrimPrefix(object.Key, f.prefix); name != "" && !strings.HasSuffix(name, "/") {
			list = append(list, parquet.Entry{Name: name, Stamp: object.ETag})
		}
	}
	slices.SortFunc(list, func(a, b parquet.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, ctx.Err()
}

// fault says what an error of S3 means.
func (f *Folder) fault(name string, err error) error {
	if err == nil {
		return nil
	}
	var kind error
	var refused minio.ErrorResponse
	if errors.As(err, &refused) {
		switch refused.Code {
		case minio.NoSuchKey:
			kind = fs.ErrNotExist
		case minio.PreconditionFailed, "ConditionalRequestConflict":
			kind = fmt.Errorf("another process writes there: %w", visibility.ErrLocked)
		case minio.NoSuchBucket:
			kind = errors.New("make the bucket first")
		}
	} else if !errors.Is(err, context.Canceled) {
		kind = visibility.ErrUnavailable
	}
	if kind != nil {
		err = fmt.Errorf("%w: %w", kind, err)
	}
	return fmt.Errorf("%s of %s: %w", name, f.url, err)
}

// temporary is a file that goes when it is closed.
type temporary struct {
	*os.File
	size int64
}

func newTemporary() (*temporary, error) {
	file, err := os.CreateTemp("", "clover-s3-")
	if err != nil {
		return nil, err
	}
	return &temporary{File: file}, nil
}

// Size implements parquet.Reader.
func (t *temporary) Size() int64 { return t.size }

// Close implements parquet.Reader.
func (t *temporary) Close() error { return errors.Join(t.File.Close(), os.Remove(t.Name())) }
