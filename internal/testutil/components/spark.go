package components

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	sparkVersion = "3.5.9"
	// sparkSum is the SHA-256 of the source archive of pyspark sparkVersion.
	sparkSum = "ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93"
)

// Spark is Apache Spark. It comes from the source archive of "pyspark" of the
// Python package index, which holds Spark's jars and scripts; no Python is
// needed to run them. The path is that of bin/spark-submit; the folder above
// bin is SPARK_HOME. It needs a Java, which [EnsureJava] brings.
func Spark() Component {
	return Component{
		Name: "spark", Title: "Apache Spark", Version: sparkVersion,
		verb: "fetching", cost: "318 MB", binary: "bin/spark-submit",
		install: installSpark,
	}
}

func installSpark(ctx context.Context, dir string, log io.Writer) error {
	if err := EnsureJava(ctx, log); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "clover-spark-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file, err := pipDownload(ctx, work, "pyspark=="+sparkVersion, sparkSum, "--no-binary=pyspark", log)
	if err != nil {
		return err
	}
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	return unpackSpark(archive, dir)
}

// sparkUnused are the large jars that SQL does not need: machine learning,
// other cluster managers, and RocksDB for streams.
var sparkUnused = regexp.MustCompile(`^(spark-mllib|spark-mesos|spark-yarn|mesos|breeze|spire|cats-kernel|algebra|JTransforms|JLargeArrays|arpack|lapack|blas|rocksdbjni|hadoop-yarn)`)

// unpackSpark writes what is needed of the archive into dir.
func unpackSpark(archive io.Reader, dir string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	jars := 0
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		folder, name, ok := sparkFile(h)
		if !ok {
			continue
		}
		if folder == "jars" {
			jars++
		}
		if err := writeProgram(filepath.Join(dir, folder), name, r); err != nil {
			return err
		}
	}
	if jars == 0 {
		return errors.New("the archive of pyspark has no jars in it")
	}
	return nil
}

// sparkFile tells where a file of the archive belongs, if anywhere.
func sparkFile(h *tar.Header) (folder, name string, ok bool) {
	_, inside, ok := strings.Cut(h.Name, "/deps/")
	if !ok || h.Typeflag != tar.TypeReg {
		return "", "", false
	}
	folder, name = path.Split(inside)
	switch folder = path.Clean(folder); folder {
	case "jars":
		return folder, name, !sparkUnused.MatchString(name)
	case "bin", "sbin":
		return folder, name, path.Ext(name) != ".cmd"
	}
	return "", "", false
}

// writeProgram writes an executable file.
func writeProgram(dir, name string, content io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, content); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return f.Close()
}
