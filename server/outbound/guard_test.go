package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/client-go/rest"
)

func prefixes(values ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, value := range values {
		all = append(all, netip.MustParsePrefix(value))
	}
	return all
}

func TestGuard_WhereRequestsGo(t *testing.T) {
	t.Parallel()
	var local string
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			local = network.IP.String()
		}
	}
	usual := Config{Own: []string{"203.0.113.7", "etcd.example.com"}}
	widened := Config{Allow: prefixes("127.0.0.0/8", "::1/128"), Own: usual.Own}
	narrowed := Config{Allow: prefixes("10.0.0.0/8"), Deny: prefixes("10.96.0.0/12", "198.51.100.0/24", "127.0.0.0/8")}
	lookup := func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("203.0.113.8"), netip.MustParseAddr("2001:db8::8")}, nil
	}
	for _, c := range []struct {
		name, address string
		config        Config
		want          bool
	}{
		{"somewhere", "198.51.100.1", usual, true},
		{"a private address", "10.0.0.1", usual, true},
		{"somewhere by IPv6", "2001:db8::1", usual, true},
		{"loopback", "127.0.0.1", usual, false},
		{"another loopback", "127.99.0.1", usual, false},
		{"loopback by IPv6", "::1", usual, false},
		{"mapped loopback", "::ffff:127.0.0.1", usual, false},
		{"compatible loopback", "::127.0.0.1", usual, false},
		{"translated loopback", "64:ff9b::7f00:1", usual, false},
		{"loopback by 6to4", "2002:7f00:1::", usual, false},
		{"this host", "0.0.0.0", usual, false},
		{"this network", "0.1.2.3", usual, false},
		{"this host by IPv6", "::", usual, false},
		{"metadata service", "169.254.169.254", usual, false},
		{"metadata service, mapped", "::ffff:a9fe:a9fe", usual, false},
		{"metadata service by IPv6", "fd00:ec2::254", usual, false},
		{"link-local", "fe80::1", usual, false},
		{"link-local with a zone", "fe80::1%eth0", usual, false},
		{"multicast", "224.0.0.1", usual, false},
		{"multicast by IPv6", "ff02::1", usual, false},
		{"broadcast", "255.255.255.255", usual, false},
		{"the server by its address", "203.0.113.7", usual, false},
		{"the server by its address, mapped", "::ffff:203.0.113.7", usual, false},
		{"etcd by its name", "203.0.113.8", usual, false},
		{"etcd by its name and IPv6", "2001:db8::8", usual, false},
		{"allowed loopback", "127.0.0.1", widened, true},
		{"allowed loopback by IPv6", "::1", widened, true},
		{"what else is not allowed", "169.254.169.254", widened, false},
		{"denied", "198.51.100.1", narrowed, false},
		{"denied within what is allowed", "10.96.0.1", narrowed, false},
		{"allowed", "10.1.0.1", narrowed, true},
		{"denied, translated", "64:ff9b::c633:6401", narrowed, false},
	} {
		g := New(c.config)
		g.own.lookup = lookup
		err := g.check(t.Context(), netip.MustParseAddr(c.address))
		if (err == nil) != c.want {
			t.Errorf("%s (%s): %v, want a way there: %v", c.name, c.address, err, c.want)
		}
	}
	if local != "" && New(Config{}).check(t.Context(), netip.MustParseAddr(local)) == nil {
		t.Errorf("requests go to %s, an address of this machine", local)
	}
}

// If names cannot be looked up, nobody can say which addresses are etcd's.
func TestGuard_WithoutNamesNothingGoes(t *testing.T) {
	t.Parallel()
	g := New(Config{Own: []string{"etcd.example.com"}})
	fail := errors.New("secret reason")
	g.own.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, fail }
	err := g.check(t.Context(), netip.MustParseAddr("198.51.100.1"))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	g.own.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("203.0.113.8")}, nil
	}
	if err := g.check(t.Context(), netip.MustParseAddr("198.51.100.1")); err != nil {
		t.Error(err)
	}
}

// resolver answers every question for addresses with 127.0.0.1.
func resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(buffer[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			q := question.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true}, Questions: question.Questions}
			if q.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if packed, err := answer.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestGuard_NamesOfForbiddenAddresses(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	g := New(Config{})
	g.dialer.Resolver = resolver(t)
	for _, host := range []string{"harmless.example.com", "localhost", "127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"} {
		conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, errAddress) {
			t.Errorf("%s: %v", host, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
	allowed := New(Config{Allow: prefixes("127.0.0.0/8")})
	allowed.dialer.Resolver = g.dialer.Resolver
	conn, err := allowed.DialContext(t.Context(), "tcp", net.JoinHostPort("harmless.example.com", port))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestNames(t *testing.T) {
	t.Parallel()
	n := names{domains: clusterDomains("nameserver 10.96.0.10\nsearch annex.svc.corp.internal svc.corp.internal corp.internal example.com\n")}
	for host, want := range map[string]string{
		"198.51.100.1":                         "198.51.100.1",
		"hooks.example.com":                    "hooks.example.com.",
		"hooks.example.com.":                   "hooks.example.com.",
		"kubernetes":                           "",
		"kubernetes.default.svc":               "",
		"KUBERNETES.default.SVC.":              "",
		"kubernetes.default.svc.cluster.local": "",
		"etcd.kube-system.svc.corp.internal.":  "",
		"10-0-0-1.default.pod.cluster.local":   "",
		"kubernetes.default":                   "kubernetes.default.", // a name in the public DNS, never completed
	} {
		got, err := n.absolute(host)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s is resolved as %q, %v; want %q", host, got, err, want)
		}
	}
	if got, err := (names{services: true}).absolute("kubernetes.default.svc"); err != nil || got != "kubernetes.default.svc" {
		t.Errorf("with the flag: %q, %v", got, err)
	}
}

func TestClientConfig_Answers(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	called := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/followed", http.StatusTemporaryRedirect)
		case "/followed":
			called++
		case "/endless":
			for range maxAnswerBytes/1024 + 1 {
				if _, err := w.Write(make([]byte, 1024)); err != nil {
					return
				}
			}
		case "/announced":
			w.Header().Set("Content-Length", "99999999")
		case "/headers":
			w.Header().Set("X-Long", strings.Repeat("a", 2*maxHeaderBytes))
		case "/most":
			_, _ = w.Write(make([]byte, maxAnswerBytes))
		}
	}))
	t.Cleanup(server.Close)
	config := New(Config{Allow: prefixes("127.0.0.0/8")}).ClientConfig()
	config.Host = server.URL
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/redirect": "redirect", "/endless": "larger than", "/announced": "larger than", "/headers": "headers", "/most": "",
	} {
		address, err := url.JoinPath(server.URL, path)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Post(address, "application/json", strings.NewReader("{}"))
		var read int64
		if err == nil {
			read, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if read > maxAnswerBytes {
			t.Errorf("%s: %d bytes were read", path, read)
		}
	}
	if called > 0 {
		t.Error("a redirect was followed")
	}
}
