package components

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"

	"github.com/opnfv/clover/internal/imagetar"
)

// imageFiles are the files of an image by their absolute paths.
type imageFiles = map[string]imagetar.File

// imageConfig is what an image says on how to run it.
type imageConfig struct {
	Entrypoint []string `json:",omitempty"`
	Env        []string `json:",omitempty"`
	User       string   `json:",omitempty"`
}

// writeImages writes images that have one layer, the same for all, in the
// form of "docker save", uncompressed because it does not travel. The images
// are given by their names.
func writeImages(out string, images map[string]imageConfig, files imageFiles) error {
	layerFile := out + ".layer"
	defer func() { _ = os.Remove(layerFile) }()
	layer, err := writeLayer(layerFile, files)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	var manifest []map[string]any
	for i, name := range slices.Sorted(maps.Keys(images)) {
		config := map[string]any{
			"architecture": runtime.GOARCH, "os": "linux", "config": images[name],
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
		}
		file := fmt.Sprintf("config%d.json", i)
		if err := addJSON(w, file, config); err != nil {
			return err
		}
		manifest = append(manifest, map[string]any{
			"Config": file, "RepoTags": []string{name}, "Layers": []string{"layer.tar"},
		})
	}
	if err := addLayer(w, layerFile); err != nil {
		return err
	}
	if err := addJSON(w, "manifest.json", manifest); err != nil {
		return err
	}
	return errors.Join(w.Close(), f.Close())
}

// addJSON adds a file with v as JSON.
func addJSON(w *tar.Writer, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return addFile(w, name, int64(len(data)), bytes.NewReader(data))
}

// writeLayer writes the files as a tar file and returns its SHA-256.
func writeLayer(out string, files imageFiles) (string, error) {
	f, err := os.Create(out)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if err := errors.Join(imagetar.Write(io.MultiWriter(f, h), files), f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// addLayer adds the layer.
func addLayer(w *tar.Writer, file string) error {
	src, err := os.Open(file)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	return addFile(w, "layer.tar", info.Size(), src)
}

// addFile adds a file with the content of r.
func addFile(w *tar.Writer, name string, size int64, r io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}
