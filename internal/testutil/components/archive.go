package components

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
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

// writeImage writes an image of one layer in the form of "docker save",
// uncompressed because it does not travel.
func writeImage(out, tag string, config imageConfig, files []imageFile) error {
	layer, err := writeLayer(out+".layer", files)
	if err != nil {
		return err
	}
	defer os.Remove(out + ".layer")
	about, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{
		{"Config": "config.json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, data := range map[string][]byte{"config.json": about, "manifest.json": manifest} {
		if err := addFile(w, name, 0o644, int64(len(data)), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	if err := copyFile(w, imageFile{From: out + ".layer", To: "layer.tar", Mode: 0o644}); err != nil {
		return err
	}
	return errors.Join(w.Close(), f.Close())
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
