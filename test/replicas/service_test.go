package replicas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// shutdownDelay is how long a replica that is asked to end serves on; probePeriod is how soon the service notices.
	shutdownDelay = 2 * time.Second
	probePeriod   = 100 * time.Millisecond
)

// readiness is what the probe of the chart asks for.
const readiness = "/readyz?exclude=etcd&exclude=watch-caches"

// service stands before the replicas as a Service does: a new connection goes to the next replica that is ready, and stays there.
type service struct {
	mu        sync.Mutex
	addresses [replicas]string
	ready     [replicas]bool
	next      int
	refused   int // connections, of replicas that were taken to be ready
}

// startService returns a service that looks after the replicas until the test ends.
func (w *world) startService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		stop()
		all.Wait()
	})
	for i, replica := range w.replicas {
		config := replica.For(t).Config(annex.ContextBase)
		connection, err := crowd.Connect(config)
		if err != nil {
			t.Fatal(err)
		}
		s.addresses[i], s.ready[i] = strings.TrimPrefix(replica.URL(), "https://"), true
		all.Go(func() {
			for ctx.Err() == nil {
				s.note(i, probe(ctx, connection.HTTP, config.Host+readiness))
				connection.Close() // as a kubelet, which comes anew each time
				_ = crowd.Sleep(ctx, probePeriod)
			}
		})
	}
	return s
}

// probe reports whether a URL answers 200.
func probe(ctx context.Context, client *http.Client, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *service) note(i int, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready[i] = ready
}

// waitFor waits until new connections go to replica i, too.
func (s *service) waitFor(t *testing.T, i int) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.ready[i] {
			return fmt.Errorf("server %d is not ready", i)
		}
		return nil
	})
}

// pick returns the address for the next connection.
func (s *service) pick() (address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range replicas {
		s.next = (s.next + 1) % replicas
		if s.ready[s.next] {
			return s.addresses[s.next], nil
		}
	}
	return "", errors.New("no server is ready")
}

// dial connects to a replica. One that refuses is passed over: trying again costs nothing, since nothing was sent.
func (s *service) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var last error
	for range replicas {
		address, err := s.pick()
		if err != nil {
			return nil, err
		}
		conn, err := (&net.Dialer{Timeout: requestTimeout}).DialContext(ctx, network, address)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		last = err
		s.mu.Lock()
		s.refused++
		s.mu.Unlock()
	}
	return nil, fmt.Errorf("every server refuses: %w", last)
}

// serviceClient is one client of the service. It tries again as client-go does.
type serviceClient struct {
	*crowd.Connection
	// doubts counts the requests that may have been carried out although no answer says so.
	doubts atomic.Int64
}

// connect returns a client whose answers are counted in m.
func (s *service) connect(t *testing.T, config *rest.Config, m *measurements) *serviceClient {
	t.Helper()
	c := &serviceClient{}
	config = rest.CopyConfig(config)
	config.Dial = s.dial
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			switch {
			case errors.Is(err, syscall.ECONNREFUSED):
				m.fault("refused connection")
			case err != nil:
				m.fault("no answer")
				c.doubts.Add(1)
			case response.StatusCode == http.StatusTooManyRequests:
				m.fault("429")
			case response.StatusCode >= http.StatusInternalServerError:
				m.fault(fmt.Sprint(response.StatusCode))
				c.doubts.Add(1)
			}
			return response, err
		})
	}
	var err error
	if c.Connection, err = crowd.Connect(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
