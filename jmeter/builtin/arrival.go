package builtin

import (
	"crypto/x509"
	"errors"
	"math"
	"os"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// arrival returns when iteration n begins. While the rate grows from 0 to R in
// the time T, R·t²/2T iterations have begun at t; from then on R a second.
func arrival(n int, l jmeter.Load) time.Duration {
	ramp := l.RampUp.Seconds()
	inRamp := l.Rate * ramp / 2
	k := float64(n)
	if k < inRamp {
		return time.Duration(math.Sqrt(2*k*ramp/l.Rate) * float64(time.Second))
	}
	return l.RampUp + time.Duration((k-inRamp)/l.Rate*float64(time.Second))
}

func readPool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("no certificate in PEM")
	}
	return pool, nil
}
