package job

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opnfv/clover/visibility"
)

// texts are the columns of a row of results that identify it, besides its
// bucket and hour: the role, and all dimensions but those that follow from
// others.
var texts = []string{
	"role", "service", "operation", "url", "url_template", "method", "user_agent",
	"upstream_cluster", "node", "kind", "source", "destination", "version",
}

// maxNamed is the number of buckets that a statement names; beyond, it reads
// all and sorts out.
const maxNamed = 200

// absolute is how a folder is named that is the same wherever it is read.
var absolute = regexp.MustCompile(`^(/|[A-Za-z]:/|[a-z][a-z0-9]*://)`)

// Statement returns the SQL of a job: it reads buckets below the folder data
// and writes their sums, as JSON, into the folder output, which need not exist.
// Numbers of traces have rows of their own: a trace is in one bucket only, and
// counts in the hour in which it begins there. Rows come bucket by bucket.
// Both folders are absolute paths or URLs. Errors match visibility.ErrInvalid.
func Statement(data string, buckets []Bucket, output string) (string, error) {
	for _, dir := range []string{data, output} {
		if !absolute.MatchString(dir) || strings.ContainsAny(dir, "{}[]*?\\`'\"\n;,%") {
			return "", fmt.Errorf("%w: folder %q has to be absolute and without {}[]*?\\`'\";,%%", visibility.ErrInvalid, dir)
		}
	}
	if len(buckets) == 0 {
		return "", fmt.Errorf("%w: no buckets", visibility.ErrInvalid)
	}
	names, depth := make([]string, len(buckets)), strings.Count(buckets[0].Name, "/")+1
	for i, b := range buckets {
		if !bucketName.MatchString(b.Name) || strings.Count(b.Name, "/")+1 != depth {
			return "", fmt.Errorf("%w: bucket %q", visibility.ErrInvalid, b.Name)
		}
		names[i] = b.Name
	}
	from := data
	switch {
	case len(names) == 1:
		from += "/" + names[0]
	case len(names) <= maxNamed:
		from += "/{" + strings.Join(names, ",") + "}"
	}
	columns := strings.Join(texts, ", ")
	nothing := strings.Repeat("NULL, ", len(texts))
	return fmt.Sprintf(`INSERT OVERWRITE DIRECTORY '%[1]s' USING json
WITH read AS (
  SELECT *, bucket - bucket %% 3600 AS hour, substring_index(_metadata.file_path, '/', %[3]d) AS file
  FROM parquet.`+"`%[4]s`"+`
)
SELECT /*+ COALESCE(1) */ * FROM (
  SELECT file, hour, %[2]s, status_code, error,
    count(*) AS spans, sum(duration_ns) AS total_ns, min(duration_ns) AS min_ns, max(duration_ns) AS max_ns,
    sum(greatest(request_size, 0)) AS request_bytes, sum(greatest(response_size, 0)) AS response_bytes, NULL AS traces
  FROM read
  GROUP BY file, hour, %[2]s, status_code, error
  UNION ALL
  SELECT file, hour, %[5]sNULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, count(*)
  FROM (SELECT file, trace_id, min(hour) AS hour FROM read GROUP BY file, trace_id)
  GROUP BY file, hour
)
SORT BY file, hour;
`, output, columns, -depth, from, nothing), nil
}
