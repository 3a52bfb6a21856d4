package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"google.golang.org/grpc"

	"github.com/opnfv/clover/api"
	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

func TestErrorsNameTheFieldAndTheRemedy(t *testing.T) {
	f := start(t)
	for path, want := range map[string]struct {
		http  int
		code  float64
		text  string
		field string
	}{
		"stats?filter=statuss%3D1":                       {400, 3, "did you mean status?", "filter"},
		"stats?group_by=servce":                          {400, 3, "did you mean service?", "group_by"},
		"stats?limit=-1":                                 {400, 3, "between 1 and 10000", "limit"},
		"stats?order_by=p100":                            {400, 3, "did you mean p", "order_by"},
		"stats?step=3s":                                  {400, 3, "multiple of 10s", "step"},
		"stats?range.from=2030-01-01T00:00:00Z":          {400, 3, "not before", "range"},
		"stats?range.last=-5s":                           {400, 3, "longer than 0s", "range.last"},
		"stats?filter=duration%3E1s":                     {400, 3, "search traces", "filter"},
		"stats?filter=service%3Dwebb":                    {404, 5, "did you mean web?", ""},
		"traces?service=webb":                            {404, 5, "did you mean web?", ""},
		"traces?filter=service%3Dwebb":                   {404, 5, "did you mean web?", ""},
		"traces/zz":                                      {400, 3, "hexadecimal", "trace_id"},
		"traces/ffff":                                    {404, 5, "not found", ""},
		"traces?page_token=zz":                           {400, 3, "cursor", "page_token"},
		"ledger?page_size=-1":                            {400, 3, "between 1 and 10000", "page_size"},
		"metrics?page_token=zz":                          {400, 3, "not a token", "page_token"},
		"traces?min_duration=-5s":                        {400, 3, "below 0", "min_duration"},
		"values/servce":                                  {400, 3, "did you mean service?", "dimension"},
		"movers?by=p100":                                 {400, 3, "did you mean p", "by"},
		"movers?base.last=-5s":                           {400, 3, "longer than 0s", "base.last"},
		"metrics/points?range.from=2030-01-01T00:00:00Z": {400, 3, "not before", "range"},
		"summary?stat=nothing":                           {400, 3, "want one of", "stat"},
		"stats?filtr=x":                                  {400, 3, "filtr: is not a parameter", "filtr"},
		"stats?range.form=x":                             {400, 3, "is not a parameter", "range.form"},
		"stats?filter.x=y":                               {400, 3, "is not a parameter", "filter.x"},
		"stats?limit=abc":                                {400, 3, "limit: \"abc\" is not a whole number", "limit"},
		"stats?limit=1&limit=2":                          {400, 3, "limit: is given 2 times", "limit"},
		"stats?ascending=maybe":                          {400, 3, "true or false", "ascending"},
		"stats?count=all":                                {400, 3, "want one of COUNT_MODE", "count"},
		"stats?range.last=15x":                           {400, 3, "a duration such as 900s", "range.last"},
		"stats?range.from=yesterday":                     {400, 3, "a time such as", "range.from"},
		"stats?range=15m":                                {400, 3, "range: \"15m\" is not a value", "range"},
		"nothing":                                        {404, 5, "Not Found", ""},
	} {
		code, body := get(t, f.rest+"/api/v1/visibility/"+path)
		message, _ := body["message"].(string)
		if code != want.http || body["code"] != want.code || !strings.Contains(message, want.text) {
			t.Errorf("%s: %d %v, want %d with %q", path, code, body, want.http, want.text)
		}
		if strings.Contains(message, "rpc error") {
			t.Errorf("%s: message %q is an error within an error", path, message)
		}
		if raw, _ := json.Marshal(body["details"]); want.field != "" && !strings.Contains(string(raw), `"field":"`+want.field+`"`) {
			t.Errorf("%s: details %s do not name the field %s", path, raw, want.field)
		}
	}
}

func TestWrongBodiesAreNamed(t *testing.T) {
	f := start(t)
	for body, want := range map[string]string{
		`{"sevices": {}}`:               `unknown field \"sevices\"`,
		`{"sample_interval": "often"}`:  "often",
		`{`:                             "unexpected EOF",
		`{"sample_interval": "-1000s"}`: "sample_interval",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, f.rest+"/api/v1/visibility/config", strings.NewReader(body))
		check(t, err)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		text, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), want) || !strings.Contains(string(text), "field_violations") {
			t.Errorf("%s: %d %s, want 400 with %s and details", body, res.StatusCode, text, want)
		}
	}
}

func TestWhatAForeignPageCouldSendIsRefused(t *testing.T) {
	f := start(t)
	for name, c := range map[string]struct {
		method, host, contentType, body string
		want                            int
	}{
		"a form":            {"POST", "", "text/plain", "{}", http.StatusUnsupportedMediaType},
		"no content type":   {"POST", "", "", "", http.StatusUnsupportedMediaType},
		"DNS rebinding":     {"GET", "evil.example", "", "", http.StatusForbidden},
		"a wrong method":    {"GET", "", "", "", http.StatusMethodNotAllowed},
		"a large body":      {"POST", "", "application/json", strings.Repeat(" ", 2000) + "{}", http.StatusRequestEntityTooLarge},
		"a foreign origin":  {"POST", "localhost", "application/json", "{}", http.StatusForbidden},
		"as cloverctl does": {"POST", "localhost", "application/json", "{}", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, f.rest+"/api/v1/visibility/clear", strings.NewReader(c.body))
		check(t, err)
		if c.host != "" {
			req.Host = c.host
		}
		if name == "a foreign origin" {
			req.Header.Set("Origin", "https://evil.example")
		}
		if name == "a large body" {
			req.ContentLength = -1 // chunked, so that only reading it tells
		}
		if c.contentType != "" {
			req.Header.Set("Content-Type", c.contentType)
		}
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		text, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, text, c.want)
		}
	}
}

// TestOpenAPIHasEveryRoute compares the description with the routes that the
// code is generated from, and those with the methods of the service.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	file, err := os.ReadFile("../http.yaml")
	check(t, err)
	var config struct {
		HTTP struct{ Rules []map[string]string }
	}
	check(t, yaml.Unmarshal(file, &config))
	var want []string
	for _, rule := range config.HTTP.Rules {
		for _, method := range []string{"get", "post", "patch", "delete", "put"} {
			if path, ok := rule[method]; ok {
				want = append(want, method+" "+strings.ReplaceAll(path, "=**", ""))
			}
		}
	}
	methods := 0
	for _, d := range []grpc.ServiceDesc{
		v1.VisibilityService_ServiceDesc, lbv1.LoadBalancerService_ServiceDesc, idsv1.IdsService_ServiceDesc,
		deliveryv1.DeliveryService_ServiceDesc, loadtestv1.LoadTestService_ServiceDesc,
	} {
		methods += len(d.Methods) + len(d.Streams)
	}
	if len(want) != methods {
		t.Errorf("%d routes, %d methods", len(want), methods)
	}
	var doc struct{ Paths map[string]map[string]any }
	check(t, json.Unmarshal(api.OpenAPI, &doc))
	var got []string
	for path, methods := range doc.Paths {
		for method := range methods {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
