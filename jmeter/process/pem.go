package process

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"os"

	"software.sslmate.com/src/go-pkcs12"
)

// PEMKeys writes a certificate and its key, both in PEM as Kubernetes and most
// tools keep them, into out in the form that Java reads, under a password of
// its own. As with [MakeKeys], master and slaves have the same pair: each shows
// the certificate and trusts no other.
func PEMKeys(certFile, keyFile, out string) (Keys, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return Keys{}, fmt.Errorf("keys for RMI: %w", err)
	}
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	k := Keys{File: out, Password: hex.EncodeToString(secret[:]), Alias: "1"}
	data, err := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, nil, k.Password)
	if err != nil {
		return Keys{}, fmt.Errorf("keys for RMI: %w", err)
	}
	return k, os.WriteFile(out, data, 0o600)
}
