package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

// StoreOptions of a Store.
type StoreOptions struct {
	// URL of the store, e.g. http://minio-service.spinnaker:9000. Its scheme
	// says whether there is TLS.
	URL string
	// AccessKey and SecretKey of a user who may write.
	AccessKey string
	SecretKey spinnaker.Secret
	// Region of buckets that are made. "": us-east-1.
	Region string
	// Transport makes the requests. nil: one of its own.
	Transport http.RoundTripper
}

// Store is an S3-compatible store. It is safe for concurrent use.
type Store struct {
	client *minio.Client
	opts   StoreOptions
}

// NewStore checks the options. It makes no request.
func NewStore(o StoreOptions) (*Store, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") || (u.Path != "" && u.Path != "/") {
		return nil, &spinnaker.FieldError{Field: "URL", Msg: "want the address of the store without path, user and password, e.g. http://minio-service.spinnaker:9000"}
	}
	if o.AccessKey == "" || o.SecretKey.IsZero() {
		return nil, &spinnaker.FieldError{Field: "AccessKey", Msg: "is missing, or SecretKey is"}
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey.Reveal(), ""), Secure: u.Scheme == "https",
		Region: o.Region, Transport: o.Transport, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return nil, &spinnaker.FieldError{Field: "URL", Msg: err.Error()}
	}
	return &Store{client: client, opts: o}, nil
}

// EnsureBucket makes a bucket unless it is there.
func (s *Store) EnsureBucket(ctx context.Context, bucket string) error {
	err := s.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: s.opts.Region})
	var refused minio.ErrorResponse
	if errors.As(err, &refused) && (refused.Code == minio.BucketAlreadyOwnedByYou || refused.Code == minio.BucketAlreadyExists) {
		return nil
	}
	return fault("make bucket", bucket, err)
}

// Put stores size bytes as an object; size below 0: until the end.
func (s *Store) Put(ctx context.Context, bucket, key string, r io.Reader, size int64) error {
	_, err := s.client.PutObject(ctx, bucket, key, r, size, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	return fault("store", bucket+"/"+key, err)
}

// Get returns an object, up to limit bytes. The error matches
// spinnaker.ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, bucket, key string, limit int64) ([]byte, error) {
	object, err := s.client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, fault("fetch", bucket+"/"+key, err)
	}
	defer func() { _ = object.Close() }()
	data, err := io.ReadAll(io.LimitReader(object, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("it is larger than asked for")
	}
	return data, fault("fetch", bucket+"/"+key, err)
}

// PutChart packages the chart in a folder, stores it as BUCKET/NAME-VERSION.tgz
// and returns it as pipelines have it; account is Spinnaker's artifact account
// for the store.
func (s *Store) PutChart(ctx context.Context, account, bucket string, chart fs.FS) (pipeline.Artifact, error) {
	var packed bytes.Buffer
	c, err := Package(chart, &packed)
	if err != nil {
		return pipeline.Artifact{}, err
	}
	size := int64(packed.Len())
	if err := s.Put(ctx, bucket, c.FileName(), &packed, size); err != nil {
		return pipeline.Artifact{}, err
	}
	return pipeline.S3(account, "s3://"+bucket+"/"+c.FileName()), nil
}

// fault says what an error of the store means.
func fault(op, target string, err error) error {
	if err == nil {
		return nil
	}
	out := &spinnaker.Error{Op: op, Target: target, Kind: spinnaker.ErrTemporary, Err: spinnaker.Cause(err)}
	var refused minio.ErrorResponse
	if !errors.As(err, &refused) {
		return out
	}
	out.Status = refused.StatusCode
	switch refused.Code {
	case minio.NoSuchBucket, minio.NoSuchKey:
		out.Kind = spinnaker.ErrNotFound
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
		out.Kind = spinnaker.ErrDenied
	case "InvalidBucketName", "KeyTooLongError", "EntityTooLarge", "InvalidArgument":
		out.Kind = spinnaker.ErrInvalid
	}
	return out
}
