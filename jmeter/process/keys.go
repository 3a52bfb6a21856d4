package process

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Keys are a key and its certificate in a PKCS #12 file. A master and its
// slaves have the same file: each shows the certificate and trusts no other.
type Keys struct {
	File, Password string
	// Alias is the key's name in the file. "": rmi.
	Alias string
}

// MakeKeys makes a key for RMI with Java's keytool, which is beside java. Give
// the file, and the file with the password, to masters and slaves only.
func MakeKeys(ctx context.Context, java, file string) (Keys, error) {
	keytool := "keytool"
	if java != "" && filepath.Base(java) != java {
		keytool = filepath.Join(filepath.Dir(java), "keytool")
	}
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	k := Keys{File: file, Password: hex.EncodeToString(secret[:])}
	passwordFile := file + ".password"
	if err := os.WriteFile(passwordFile, []byte(k.Password), 0o600); err != nil {
		return Keys{}, err
	}
	cmd := exec.CommandContext(ctx, keytool, "-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-alias", "rmi", "-dname", "CN=clover-jmeter",
		"-validity", "3650", "-storetype", "PKCS12", "-keystore", file, "-storepass:file", passwordFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.Remove(passwordFile) // the error says more
		return Keys{}, fmt.Errorf("keytool: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return k, os.Chmod(file, 0o600)
}

// args tell JMeter to use the keys. What holds the password is a file in dir,
// because everybody on a machine can see the arguments of its programs, and
// JMeter writes properties that are arguments into its log.
func (k Keys) args(plain bool, dir string) ([]string, error) {
	if plain {
		return []string{"-Jserver.rmi.ssl.disable=true"}, nil
	}
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace
	for _, store := range []string{"keystore", "truststore"} {
		for name, value := range map[string]string{"type": "PKCS12", "file": k.File, "password": k.Password} {
			fmt.Fprintf(&b, "server.rmi.ssl.%s.%s=%s\n", store, name, escape(value))
		}
	}
	fmt.Fprintf(&b, "server.rmi.ssl.keystore.alias=%s\n", escape(cmp.Or(k.Alias, "rmi")))
	file := filepath.Join(dir, "rmi.properties")
	return []string{"-q", file}, os.WriteFile(file, []byte(b.String()), 0o600)
}
