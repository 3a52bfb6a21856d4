package alert_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opnfv/clover/ids/alert"
)

const line = `{"timestamp":"2026-01-02T03:04:05.000006+0000","event_type":"alert","src_ip":"10.0.0.9","dest_ip":"10.0.0.2","proto":"TCP","dest_port":80,"alert":{"gid":1,"signature_id":10000003,"rev":1,"signature":"scan","severity":1},"http":{"url":"/","http_user_agent":"asafaweb.com","xff":"198.51.100.7, 203.0.113.9"}}`

func ExampleParseEVE() {
	a, err := alert.ParseEVE([]byte(line))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.SignatureID, a.Signature, a.Client(), a.HTTP.UserAgent, a.ForwardedFor)
	fmt.Println(a.Fields(1)["event-second"], a.Fields(1)["dport-icode"])
	// Output:
	// 10000003 scan 10.0.0.9 asafaweb.com [198.51.100.7 203.0.113.9]
	// 1767323045 80
}

// A relay follows the log of Suricata and prints each alert.
func ExampleRelay() {
	dir, err := os.MkdirTemp("", "alerts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "eve.json")
	if err := os.WriteFile(log, []byte(line+"\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	spool, err := alert.OpenSpool(filepath.Join(dir, "spool"), alert.SpoolOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer spool.Close()
	ctx, cancel := context.WithCancel(context.Background())
	show := alert.SinkFunc(func(_ context.Context, alerts []alert.Alert) error {
		for _, a := range alerts {
			fmt.Println(a.SignatureID, a.SourceIP)
		}
		cancel() // a program goes on
		return nil
	})
	relay, err := alert.NewRelay(spool, []alert.Source{alert.NewFile(log, alert.EVE, alert.FileOptions{Name: "eve"})},
		[]alert.Outlet{{Name: "screen", Sink: show}}, alert.RelayOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := relay.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 10000003 10.0.0.9
}
