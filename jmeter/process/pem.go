package process

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"software.sslmate.com/src/go-pkcs12"
)

// PEMKeys writes a certificate and its key, both in PEM as Kubernetes and most
// tools keep them, in the form that Java reads, into a folder of their own
// below dir; "" is that of temporary files. As with [MakeKeys], master and
// slaves have the same pair: each shows the certificate and trusts no other.
//
// A slave tells the master the path and the password of its file, and the
// master opens that path on its own disk. Both therefore depend on nothing but
// the pair and dir, which has to be the same for all.
func PEMKeys(certFile, keyFile, dir string) (Keys, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return Keys{}, fmt.Errorf("keys for RMI: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return Keys{}, fmt.Errorf("keys for RMI: %w", err)
	}
	if dir == "" {
		dir = os.TempDir()
	}
	name, password := sha256.Sum256(pair.Leaf.Raw), sha256.Sum256(append([]byte("clover RMI "), secret...))
	dir = filepath.Join(dir, "clover-rmi-"+hex.EncodeToString(name[:8]))
	k := Keys{File: filepath.Join(dir, "rmi.p12"), Password: hex.EncodeToString(password[:16]), Alias: "1"}
	data, err := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, nil, k.Password)
	if err != nil {
		return Keys{}, fmt.Errorf("keys for RMI: %w", err)
	}
	return k, replaceFile(k.File, data)
}

// replaceFile writes a file in a folder of its owner's alone, so that who reads
// it meanwhile finds the old or the new one.
func replaceFile(file string, data []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error says more
	}
	return err
}
