// Package sparkhome gets Apache Spark from the Python package index, whose
// package "pyspark" holds Spark's jars and scripts; no Python is needed to run
// them.
package sparkhome

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

	"github.com/opnfv/clover/internal/debian"
	"github.com/opnfv/clover/internal/pip"
)

// Version is the release of Spark.
const Version = "3.5.9"

// sum is the SHA-256 of the source archive of pyspark.
const sum = "ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93"

// Fetch makes SPARK_HOME of the folder dir: jars, and the scripts in bin and
// sbin. say, if not nil, is told what is installed for that.
func Fetch(ctx context.Context, dir string, say debian.Progress) error {
	work, err := os.MkdirTemp("", "clover-spark-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	file, err := pip.Download(ctx, work, "pyspark=="+Version, sum, pip.Source, say)
	if err != nil {
		return err
	}
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	return unpack(archive, dir)
}

// unused are the large jars that SQL does not need: machine learning,
// other cluster managers, and RocksDB for streams.
var unused = regexp.MustCompile(`^(spark-mllib|spark-mesos|spark-yarn|mesos|breeze|spire|cats-kernel|algebra|JTransforms|JLargeArrays|arpack|lapack|blas|rocksdbjni|hadoop-yarn)`)

// unpack writes what is needed of the archive into dir.
func unpack(archive io.Reader, dir string) error {
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
		folder, name, ok := place(h)
		if !ok {
			continue
		}
		if folder == "jars" {
			jars++
		}
		if err := write(filepath.Join(dir, folder), name, r); err != nil {
			return err
		}
	}
	if jars == 0 {
		return errors.New("the archive of pyspark has no jars in it")
	}
	return nil
}

// place tells where a file of the archive belongs, if anywhere.
func place(h *tar.Header) (folder, name string, ok bool) {
	_, inside, ok := strings.Cut(h.Name, "/deps/")
	if !ok || h.Typeflag != tar.TypeReg {
		return "", "", false
	}
	folder, name = path.Split(inside)
	switch folder = path.Clean(folder); folder {
	case "jars":
		return folder, name, !unused.MatchString(name)
	case "bin", "sbin":
		return folder, name, path.Ext(name) != ".cmd"
	}
	return "", "", false
}

// write writes an executable file.
func write(dir, name string, content io.Reader) error {
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
