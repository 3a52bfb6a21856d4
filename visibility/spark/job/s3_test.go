package job_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/parquet/s3"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/spark/job"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/storetest"
)

// bucketIn returns a folder in a new bucket.
func bucketIn(t *testing.T, server *testutil.S3Server) *s3.Folder {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := minio.New(server.URL[len("http://"):], &minio.Options{
		Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.MakeBucket(t.Context(), "mesh", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := s3.Open(s3.Options{
		URL: "s3a://mesh/spans", Endpoint: server.URL, Region: "us-east-1",
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestSparkReadsS3 exports spans into S3, has a real Spark answer from there as
// the store does, and has its jobs sum them up, also after files have gone by
// their age.
func TestSparkReadsS3(t *testing.T) {
	testutil.Long(t, "CLOVER_SPARK_S3", "spark-s3")
	epoch := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return epoch.Add(3 * time.Hour) }
	store := storetest.NewReference(storetest.Options{Clock: clock})
	spans := storetest.RandomSpans(7, 500, epoch, 100*time.Minute)
	if _, err := store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans}); err != nil {
		t.Fatal(err)
	}
	server := testutil.S3(t)
	folder := bucketIn(t, server)
	o := parquet.Options{Window: 30 * time.Minute, Settle: -1, Clock: clock}
	m, err := parquet.ExportTo(t.Context(), store, folder, o)
	if err != nil {
		t.Fatal(err)
	}
	db, err := spark.Open(spark.Options{Addr: testutil.Spark(t, server.SparkConf(t)...).Addr, Sessions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	engine, err := sql.New(db, sql.Options{Dialect: sql.Spark, Table: sql.Spark.Parquet(folder.String()), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	own, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	q := visibility.Query{Range: visibility.Range{From: epoch, To: clock()}, GroupBy: []visibility.Dimension{visibility.Service}}
	want, err := own.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.Query(t.Context(), q)
	if err != nil || got.Total.Count != want.Total.Count || got.Total.Sum != want.Total.Sum || len(got.Groups) != len(want.Groups) || want.Total.Count == 0 {
		t.Fatalf("Spark counts %+v, %v; the store %+v", got, err, want.Total)
	}
	results := t.TempDir()
	jobs, err := job.NewSubmitter(job.Options{
		Data: folder.String(), Results: results, Runner: job.Server{DB: db},
		List: func(ctx context.Context) (list []job.Bucket, err error) {
			files, err := folder.List(ctx)
			for _, f := range files {
				if parquet.IsSpans(f.Name) {
					list = append(list, job.Bucket{Name: f.Name, Stamp: f.Stamp})
				}
			}
			return list, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := jobs.RunOnce(t.Context(), job.Full)
	if err != nil || r.Spans != m.Spans() || r.Buckets != len(m.Files) {
		t.Fatalf("%+v, %v; want the %d spans of %d files", r, err, m.Spans(), len(m.Files))
	}
	o.Keep = 2 * time.Hour
	if m, err = parquet.ExportTo(t.Context(), store, folder, o); err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.RunOnce(t.Context(), job.Fast); err != nil {
		t.Fatal(err)
	}
	state, err := job.ReadState(results)
	sum := int64(0)
	for _, c := range state.Buckets {
		sum += c.Spans
	}
	if err != nil || len(state.Buckets) != len(m.Files) || sum != m.Spans() || sum == int64(len(spans)) {
		t.Errorf("after the oldest are gone: %d spans of %d files, %v; want %d of %d", sum, len(state.Buckets), err, m.Spans(), len(m.Files))
	}
}
