package kubelet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

// probe calls the probes of a container until the context ends. What makes the
// container unhealthy is sent once.
func (c *container) probe(ctx context.Context, process *sandbox.Process, unhealthy chan<- string) {
	fail := func(why string) {
		select {
		case unhealthy <- why:
		default:
		}
	}
	if c.spec.StartupProbe != nil {
		succeeded := false
		c.repeat(ctx, process, "Startup", *c.spec.StartupProbe, func(ok bool) bool {
			succeeded = ok
			if !ok {
				fail("failed startup probe")
			}
			return false
		})
		if !succeeded {
			return
		}
		c.change(func(s *corev1.ContainerStatus) {
			started := true
			s.Started, s.Ready = &started, c.spec.ReadinessProbe == nil
		})
	}
	var probes sync.WaitGroup
	defer probes.Wait()
	if c.spec.LivenessProbe != nil {
		probes.Go(func() {
			c.repeat(ctx, process, "Liveness", *c.spec.LivenessProbe, func(ok bool) bool {
				if !ok {
					fail("failed liveness probe")
				}
				return ok
			})
		})
	}
	if c.spec.ReadinessProbe != nil {
		probes.Go(func() {
			c.repeat(ctx, process, "Readiness", *c.spec.ReadinessProbe, func(ok bool) bool {
				if c.snapshot().Ready != ok {
					c.change(func(s *corev1.ContainerStatus) { s.Ready = ok })
				}
				return true
			})
		})
	}
}

// repeat calls a probe and tells result when a threshold is reached, until
// result says that it is enough.
func (c *container) repeat(ctx context.Context, process *sandbox.Process, kind string, probe corev1.Probe, result func(ok bool) bool) {
	if !pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return
	}
	period := time.NewTicker(time.Duration(max(probe.PeriodSeconds, 1)) * time.Second)
	defer period.Stop()
	successes, failures := int32(0), int32(0)
	for {
		err := c.ask(ctx, process, probe)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			successes, failures = successes+1, 0
		} else {
			successes, failures = 0, failures+1
			c.pod.event(corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", kind, err)
		}
		reached := err == nil && successes >= max(probe.SuccessThreshold, 1) || err != nil && failures >= max(probe.FailureThreshold, 1)
		if reached && !result(err == nil) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-period.C:
		}
	}
}

// ask calls a probe once.
func (c *container) ask(ctx context.Context, process *sandbox.Process, probe corev1.Probe) error {
	timeout := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case probe.Exec != nil:
		exit, output, err := process.Exec(ctx, sandbox.Exec{Args: probe.Exec.Command, Timeout: timeout})
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("exit code %d: %s", exit.Code, strings.TrimSpace(output))
		}
		return err
	case probe.TCPSocket != nil:
		port, err := c.port(probe.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := c.pod.kubelet.node.Dial(ctx, "tcp", net.JoinHostPort(c.pod.hostOf(probe.TCPSocket.Host), port))
		if err != nil {
			return err
		}
		return conn.Close()
	case probe.HTTPGet != nil:
		return c.get(ctx, *probe.HTTPGet)
	}
	return errors.New("the probe has no handler")
}

// port returns the number of a port that has one or a name.
func (c *container) port(port intstr.IntOrString) (string, error) {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue()), nil
	}
	for _, p := range c.spec.Ports {
		if p.Name == port.StrVal {
			return strconv.Itoa(int(p.ContainerPort)), nil
		}
	}
	return "", fmt.Errorf("container %s has no port %q", c.spec.Name, port.StrVal)
}

func (p *pod) hostOf(host string) string {
	if host != "" {
		return host
	}
	return p.ip
}

// get is an HTTP probe: any answer from 200 to 399 is good, and no certificate
// is looked at.
func (c *container) get(ctx context.Context, action corev1.HTTPGetAction) error {
	port, err := c.port(action.Port)
	if err != nil {
		return err
	}
	path, err := url.Parse(action.Path)
	if err != nil {
		return fmt.Errorf("reading the path: %w", err)
	}
	target := url.URL{
		Scheme: strings.ToLower(string(action.Scheme)), Host: net.JoinHostPort(c.pod.hostOf(action.Host), port),
		Path: path.Path, RawQuery: path.RawQuery,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("User-Agent", "kube-probe/1.36")
	request.Header.Set("Accept", "*/*")
	for _, header := range action.HTTPHeaders {
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
	transport := &http.Transport{
		DialContext:       c.pod.kubelet.node.Dial,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}
