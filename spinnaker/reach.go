package spinnaker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	reachTimeout    = 10 * time.Second
	maxVersionBytes = 64 << 10
)

// Reach asks the API server of a context, "" being the current one, for its
// version with the context's credentials, and returns e.g. "v1.34.4". It opens
// no file, which is what Flatten is for, and runs no program: where the credentials come from one, the error matches
// ErrUnsupported. ErrDenied: the server refuses the credentials. Everything
// else that stands in the way matches ErrTemporary. It takes 10 s at most.
func (k *Kubeconfig) Reach(ctx context.Context, name string) (string, error) {
	c, err := k.Context(name)
	if err != nil {
		return "", err
	}
	fault := func(kind error, status int, err error) (string, error) {
		return "", &Error{Op: "reach cluster", Target: c.Server, Kind: kind, Status: status, Err: err}
	}
	if c.RunsProgram() {
		return fault(ErrUnsupported, 0, fmt.Errorf("the credentials come from %s, which is not run for a check", c.Auth))
	}
	cluster, user := k.clusters[c.Cluster], k.users[c.User]
	config, err := tlsConfig(cluster, user)
	if err != nil {
		return fault(ErrInvalid, 0, err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(field(cluster, "server"), "/")+"/version", nil)
	if err != nil {
		return fault(ErrInvalid, 0, errors.New("the server's address cannot be asked"))
	}
	switch c.Auth {
	case "token":
		token, err := contentOf(user, "token", "tokenFile", false)
		if err != nil {
			return fault(ErrInvalid, 0, err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	case "password":
		req.SetBasicAuth(field(user, "username"), field(user, "password"))
	}
	transport := &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	// The token goes to this server and nowhere else.
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return fault(ErrTemporary, 0, Cause(err))
	}
	defer res.Body.Close()
	return version(res, fault)
}

func version(res *http.Response, fault func(error, int, error) (string, error)) (string, error) {
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return fault(ErrDenied, res.StatusCode, errors.New("the API server refuses the credentials ("+res.Status+")"))
	case res.StatusCode != http.StatusOK:
		return fault(ErrTemporary, res.StatusCode, errors.New(res.Status))
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxVersionBytes)).Decode(&v); err != nil || v.GitVersion == "" {
		return fault(ErrProtocol, res.StatusCode, errors.New("it does not answer as a Kubernetes API server"))
	}
	return clip(v.GitVersion), nil
}

func tlsConfig(cluster, user map[string]any) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: field(cluster, "tls-server-name")}
	config.InsecureSkipVerify, _ = cluster["insecure-skip-tls-verify"].(bool)
	ca, err := contentOf(cluster, "certificate-authority-data", "certificate-authority", true)
	if err != nil {
		return nil, err
	}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("certificate-authority-data holds no certificate")
		}
	}
	cert, err := contentOf(user, "client-certificate-data", "client-certificate", true)
	if err != nil || len(cert) == 0 {
		return config, err
	}
	key, err := contentOf(user, "client-key-data", "client-key", true)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("client certificate and key do not fit together")
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// contentOf returns what a field holds, in base64 where encoded. It opens no
// file: whoever sends a kubeconfig must not choose what is read here.
func contentOf(m map[string]any, data, file string, encoded bool) ([]byte, error) {
	v := field(m, data)
	switch {
	case v == "" && field(m, file) != "":
		return nil, fmt.Errorf("%s is a file; it must be put into the kubeconfig first (kubectl config view --flatten)", file)
	case !encoded:
		return []byte(v), nil
	}
	out, err := base64.StdEncoding.DecodeString(v)
	if err != nil {
		return nil, errors.New(data + " is not base64")
	}
	return out, nil
}
