package annex

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Etcd is an etcd of its own inside the test's process, for --etcd-servers. A test can stop it, start it again on the same
// data and address, and look into it.
type Etcd struct {
	tb      testing.TB
	dir     string
	address url.URL
	server  *embed.Etcd
	client  *clientv3.Client
	asked   int // by Revision
	quota   int64
}

// StartEtcd starts an etcd that ends with the test. Start it before the server that uses it, which then ends first.
func StartEtcd(tb testing.TB) *Etcd {
	tb.Helper()
	return StartSmallEtcd(tb, 0)
}

// StartSmallEtcd is StartEtcd for an etcd that takes no more writes once its data takes quota bytes; 0 means etcd's default.
func StartSmallEtcd(tb testing.TB, quota int64) *Etcd {
	tb.Helper()
	e := &Etcd{tb: tb, quota: quota, dir: filepath.Join(tb.TempDir(), "etcd"), address: url.URL{Scheme: "http", Host: "127.0.0.1:0"}}
	e.Start()
	tb.Cleanup(e.Stop)
	return e
}

// Start runs the etcd again after Stop.
func (e *Etcd) Start() {
	e.tb.Helper()
	config := embed.NewConfig()
	config.Name = "test"
	config.Dir = e.dir
	config.ListenPeerUrls = nil
	config.ListenClientUrls = []url.URL{e.address}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.WatchProgressNotifyInterval = 5 * time.Second
	config.QuotaBackendBytes = e.quota
	server, err := embed.StartEtcd(config)
	if err != nil {
		e.tb.Fatalf("starting etcd: %v", err)
	}
	e.server = server
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(startTimeout):
		e.tb.Fatalf("etcd is not ready after %s", startTimeout)
	}
	e.address.Host = server.Clients[0].Addr().String()
	if e.client, err = clientv3.New(clientv3.Config{Endpoints: []string{e.URL()}, Logger: zap.NewNop()}); err != nil {
		e.tb.Fatalf("connecting to etcd: %v", err)
	}
}

// Stop ends the etcd; its data and its address stay.
func (e *Etcd) Stop() {
	if e.server == nil {
		return
	}
	_ = e.client.Close()
	e.server.Close()
	e.server = nil
}

// URL returns the address for --etcd-servers.
func (e *Etcd) URL() string { return e.address.String() }

// Address returns host and port.
func (e *Etcd) Address() string { return e.address.Host }

// Revision returns the current revision, which grows by one with each write.
func (e *Etcd) Revision() int64 {
	e.tb.Helper()
	e.asked++
	answer, err := e.client.Get(e.tb.Context(), "/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		e.tb.Fatalf("reading from etcd: %v", err)
	}
	return answer.Header.Revision
}

// Reads returns how many ranges of keys were read since the process began, not counting those of Revision.
func (e *Etcd) Reads() int {
	e.tb.Helper()
	request, err := http.NewRequestWithContext(e.tb.Context(), http.MethodGet, e.URL()+"/metrics", nil)
	if err != nil {
		e.tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.tb.Fatalf("reading the metrics of etcd: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "etcd_mvcc_range_total "); found {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				e.tb.Fatalf("reading the metrics of etcd: %v", err)
			}
			return int(n) - e.asked
		}
	}
	e.tb.Fatal("etcd does not count what is read")
	return 0
}

// Mentions returns the keys that hold the word, or whose value holds it.
func (e *Etcd) Mentions(word string) (inKey, inValue []string) {
	e.tb.Helper()
	answer, err := e.client.Get(e.tb.Context(), "/", clientv3.WithPrefix())
	if err != nil {
		e.tb.Fatalf("reading from etcd: %v", err)
	}
	for _, kv := range answer.Kvs {
		switch {
		case bytes.Contains(kv.Key, []byte(word)):
			inKey = append(inKey, string(kv.Key))
		case bytes.Contains(kv.Value, []byte(word)):
			inValue = append(inValue, string(kv.Key))
		}
	}
	return inKey, inValue
}

// Put writes a key.
func (e *Etcd) Put(key, value string) {
	e.tb.Helper()
	if _, err := e.client.Put(e.tb.Context(), key, value); err != nil {
		e.tb.Fatalf("writing to etcd: %v", err)
	}
}

// Break overwrites the value of every key that contains all parts with what nothing can read. It fails the test when there is
// none.
func (e *Etcd) Break(tb testing.TB, parts ...string) {
	tb.Helper()
	found, err := e.client.Get(tb.Context(), "/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		tb.Fatal(err)
	}
	broken := 0
	for _, kv := range found.Kvs {
		if slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(string(kv.Key), part) }) {
			continue
		}
		broken++
		if _, err := e.client.Put(tb.Context(), string(kv.Key), "{broken"); err != nil {
			tb.Fatal(err)
		}
	}
	if broken == 0 {
		tb.Fatalf("no key contains %v", parts)
	}
}

// Compact makes etcd forget all versions of objects but the current ones, as it does by itself after some minutes.
func (e *Etcd) Compact() {
	e.tb.Helper()
	if _, err := e.client.Compact(e.tb.Context(), e.Revision(), clientv3.WithCompactPhysical()); err != nil {
		e.tb.Fatalf("compacting etcd: %v", err)
	}
}

// Rewrite gives change the value of every key, and stores what it returns instead; nil for the same. It is for a time when no server runs.
func (e *Etcd) Rewrite(change func(key string, value []byte) []byte) {
	e.tb.Helper()
	found, err := e.client.Get(e.tb.Context(), "/", clientv3.WithPrefix())
	if err != nil {
		e.tb.Fatalf("reading from etcd: %v", err)
	}
	for _, kv := range found.Kvs {
		if value := change(string(kv.Key), kv.Value); value != nil {
			e.Put(string(kv.Key), string(value))
		}
	}
}

// Remove deletes the keys that begin with prefix.
func (e *Etcd) Remove(prefix string) {
	e.tb.Helper()
	if _, err := e.client.Delete(e.tb.Context(), prefix, clientv3.WithPrefix()); err != nil {
		e.tb.Fatalf("deleting from etcd: %v", err)
	}
}
