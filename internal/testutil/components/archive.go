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
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
)

// imageFile is one file of an image: a copy of From, or a symbolic link.
type imageFile struct {
	From string // a file of this machine
	Link string // or where the link points to
	To   string // path in the image
	Mode fs.FileMode
}

// imageConfig is what an image says on how to run it.
type imageConfig struct {
	Entrypoint []string `json:",omitempty"`
	Env        []string `json:",omitempty"`
	User       string   `json:",omitempty"`
}

// writeImages writes images that have one layer, the same for all, in the
// form of "docker save", uncompressed because it does not travel. The images
// are given by their names.
func writeImages(out string, images map[string]imageConfig, files []imageFile) error {
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
	if err := copyFile(w, imageFile{From: layerFile, To: "layer.tar", Mode: 0o644}); err != nil {
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
	return addFile(w, name, 0o644, int64(len(data)), bytes.NewReader(data))
}

// writeLayer writes the files as a tar file and returns its SHA-256.
func writeLayer(out string, files []imageFile) (string, error) {
	f, err := os.Create(out)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	w := tar.NewWriter(io.MultiWriter(f, h))
	made := map[string]bool{".": true}
	for _, file := range files {
		if err := addFolders(w, path.Dir(file.To), made); err != nil {
			return "", err
		}
		if file.Link != "" {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: file.To, Linkname: file.Link, Mode: 0o777})
		} else {
			err = copyFile(w, file)
		}
		if err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// addFolders adds a folder and those above it that are not there yet.
func addFolders(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := addFolders(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
}

// copyFile adds a copy of a file of this machine.
func copyFile(w *tar.Writer, file imageFile) error {
	src, err := os.Open(file.From)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	return addFile(w, file.To, file.Mode, info.Size(), src)
}

// addFile adds a file with the content of r.
func addFile(w *tar.Writer, name string, mode fs.FileMode, size int64, r io.Reader) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}
