package resilience

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/crowd"
)

// drained is a client with one connection to a server that is told to stop.
type drained struct {
	t      *testing.T
	client *crowd.Connection
}

func newDrained(t *testing.T, server *annex.Server) *drained {
	t.Helper()
	client, err := crowd.Connect(server.Config(annex.ContextBase))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &drained{t: t, client: client}
}

// ask sends one request and returns its answer, of which the body is closed, and whether the connection was there before.
func (d *drained) ask(path string) (response *http.Response, reused bool) {
	d.t.Helper()
	ctx := httptrace.WithClientTrace(d.t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.client.Config.Host+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err = d.client.HTTP.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response, reused
}

const drainedPath = "/clusters/root/api/v1/namespaces/default"

// A server that is told to stop serves on for a time, and sends its clients away meanwhile.
func TestDrain_ClientsLeaveBeforeTheyAreRefused(t *testing.T) {
	server := annex.Start(t, "--shutdown-delay-duration", "1h")
	t.Cleanup(server.Kill)
	client := newDrained(t, server)
	client.ask(drainedPath)
	if response, reused := client.ask(drainedPath); response.StatusCode != http.StatusOK || !reused {
		t.Errorf("before: %s, the connection is kept: %t", response.Status, reused)
	}
	server.Terminate()
	annex.Eventually(t, func(context.Context) error {
		if response, _ := client.ask("/readyz"); response.StatusCode == http.StatusOK {
			return errors.New("the server says that it is ready")
		}
		return nil
	})
	annex.Eventually(t, func(context.Context) error {
		response, reused := client.ask(drainedPath)
		if response.StatusCode != http.StatusOK {
			t.Errorf("a server that serves on for an hour answers %s", response.Status)
		}
		if reused {
			return errors.New("the connection is kept")
		}
		return nil
	})
}

// A request that comes too late may be tried again soon, at another server; one that came in time is carried out.
func TestDrain_LateRequestsAreRefusedBriefly(t *testing.T) {
	server := annex.Start(t)
	client := newDrained(t, server)
	held, err := annex.Withhold(t.Context(), server.Workspace("root"), http.MethodPost, "/api/v1/namespaces/default/configmaps", "application/json",
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "in-time"}}`)
	if err != nil || !held.Waits() {
		t.Fatalf("the request is answered before it is sent: %v", err)
	}
	server.Terminate()
	annex.Eventually(t, func(context.Context) error {
		response, _ := client.ask(drainedPath)
		if response.StatusCode == http.StatusOK {
			return errors.New("requests are served")
		}
		if after := response.Header.Get("Retry-After"); response.StatusCode != http.StatusServiceUnavailable || after != "1" {
			t.Errorf("%s with Retry-After %q, want 503 and a second", response.Status, after)
		}
		return nil
	})
	annex.Eventually(t, func(context.Context) error {
		if _, reused := client.ask(drainedPath); reused {
			return errors.New("the connection is kept")
		}
		return nil
	})
	if code, status, err := held.Send(); err != nil || code != http.StatusCreated {
		t.Errorf("a request that came in time is answered %d %v: %v", code, status, err)
	}
}
