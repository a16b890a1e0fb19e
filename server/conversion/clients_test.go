package conversion

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/server/outbound"
)

// Every request goes through the guard. What a guard lets through has tests beside it; here is that it is asked.
func TestClients_AreGuarded(t *testing.T) {
	var calls, followed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/followed", http.StatusTemporaryRedirect)
		case "/followed":
			followed.Add(1)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		case "/later":
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(server.Close)
	send := func(guard outbound.Config, host, path string) error {
		t.Helper()
		config, err := New(outbound.New(guard), false).ClientConfigFor(host)
		if err != nil {
			t.Fatal(err)
		}
		if config.Timeout != Timeout || config.QPS != 0 || config.BearerToken != "" || config.CertData != nil {
			t.Errorf("the client has %v", config)
		}
		config.Host, config.APIPath = "http://"+host, path
		config.NegotiatedSerializer = clientscheme.Codecs.WithoutConversion()
		client, err := rest.UnversionedRESTClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		return client.Post().Body([]byte("{}")).Do(t.Context()).Error()
	}
	address := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	open := outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for name, c := range map[string]struct {
		guard      outbound.Config
		host, path string
		want       string
	}{
		"loopback":            {outbound.Config{}, address, "/", "sends no requests to this address"},
		"a name of loopback":  {outbound.Config{}, "localhost:" + port, "/", "sends no requests to this address"},
		"link-local":          {outbound.Config{}, "169.254.169.254:80", "/", "sends no requests to this address"},
		"its own address":     {outbound.Config{Own: []string{"203.0.113.7"}}, "203.0.113.7:443", "/", "sends no requests to this address"},
		"a denied address":    {outbound.Config{Allow: open.Allow, Deny: open.Allow}, address, "/", "sends no requests to this address"},
		"a name of a service": {outbound.Config{}, "kubernetes.default.svc:443", "/", "services of the cluster"},
		"a redirect":          {open, address, "/redirect", "redirect"},
		"an endless answer":   {open, address, "/endless", "larger than"},
		"an answer for later": {open, address, "/later", "too many requests"},
	} {
		calls.Store(0)
		err := send(c.guard, c.host, c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if n := calls.Load(); n > 1 {
			t.Errorf("%s: %d requests were sent", name, n)
		}
	}
	if followed.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func TestClients_Services(t *testing.T) {
	closed, err := New(outbound.New(outbound.Config{}), false).ClientConfigForService("hooks", "system", 443)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closed.Dial(t.Context(), "tcp", "hooks.system.svc:443"); err == nil || !strings.Contains(err.Error(), "a workspace has no service hooks in namespace system") {
		t.Errorf("got %v", err)
	}
	clients := New(outbound.New(outbound.Config{HostServices: true}), true)
	open, err := clients.ClientConfigForService("hooks", "system", 443)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Dial(t.Context(), "tcp", "127.0.0.1:443"); err == nil || !strings.Contains(err.Error(), "sends no requests to this address") {
		t.Errorf("the address of a service is not checked: %v", err)
	}
	if u, err := clients.ResolveEndpoint("system", "hooks", 8443); err != nil || u.Host != "hooks.system.svc:8443" {
		t.Errorf("the service is at %v, %v", u, err)
	}
}
