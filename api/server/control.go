package server

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/visibility"
)

// control serves collector.Controller, the names of 2019, on top of the
// visibility service.
type control struct {
	collector.UnimplementedControllerServer
	service v1.VisibilityServiceServer
}

// InitVisibility implements collector.ControllerServer.
func (c control) InitVisibility(ctx context.Context, _ *collector.InitVisibilityRequest) (*collector.InitVisibilityResponse, error) {
	res, err := c.service.Init(ctx, &v1.InitRequest{})
	if err != nil {
		return nil, err
	}
	return &collector.InitVisibilityResponse{Message: res.GetMessage(), Store: res.GetStore()}, nil
}

// StartCollector implements collector.ControllerServer.
func (c control) StartCollector(ctx context.Context, req *collector.StartCollectorRequest) (*collector.StartCollectorResponse, error) {
	change, err := changeOf(req)
	if err != nil {
		return nil, err
	}
	res, err := c.service.Start(ctx, &v1.StartRequest{Change: change})
	if err != nil {
		return nil, err
	}
	return &collector.StartCollectorResponse{Message: res.GetMessage(), CollectorId: res.GetCollectorId()}, nil
}

// changeOf reads the fields of 2019.
func changeOf(req *collector.StartCollectorRequest) (*v1.ConfigChange, error) {
	change := &v1.ConfigChange{}
	for field, alone := range map[string]bool{
		"t_port": req.GetTPort() != "" && req.GetTHost() == "", "m_port": req.GetMPort() != "" && req.GetMHost() == "",
	} {
		if alone {
			return nil, invalid(field + ": is given without its host")
		}
	}
	if host := req.GetTHost(); host != "" {
		change.TracingUrls = &v1.StringList{Items: []string{hostURL(host, req.GetTPort(), "80")}}
	}
	if host := req.GetMHost(); host != "" {
		url := hostURL(host, req.GetMPort(), "9090")
		change.MonitoringUrl = &url
	}
	if s := req.GetSampleInterval(); s != "" {
		interval, err := visibility.ParseInterval(s)
		if err != nil {
			return nil, invalid("sample_interval: " + err.Error())
		}
		change.SampleInterval = durationpb.New(interval.Duration())
	}
	return change, nil
}

func hostURL(host, port, defaultPort string) string {
	if port == "" {
		port = defaultPort
	}
	return fmt.Sprintf("http://%s", net.JoinHostPort(host, port))
}

// StopCollector implements collector.ControllerServer.
func (c control) StopCollector(ctx context.Context, _ *collector.StopCollectorRequest) (*collector.StopCollectorResponse, error) {
	res, err := c.service.Stop(ctx, &v1.StopRequest{})
	if err != nil {
		return nil, err
	}
	return &collector.StopCollectorResponse{Message: res.GetMessage(), CollectorId: res.GetCollectorId()}, nil
}

// TruncateVisibility implements collector.ControllerServer.
func (c control) TruncateVisibility(ctx context.Context, _ *collector.TruncateVisibilityRequest) (*collector.TruncateVisibilityResponse, error) {
	res, err := c.service.Clear(ctx, &v1.ClearRequest{})
	if err != nil {
		return nil, err
	}
	return &collector.TruncateVisibilityResponse{Message: res.GetMessage(), Spans: res.GetSpans()}, nil
}
