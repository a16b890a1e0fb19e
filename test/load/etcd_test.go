package main

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

func TestServer_Keys(t *testing.T) {
	dir := t.TempDir()
	s := &server{dir: dir}
	if keys, err := s.keys(t.Context()); keys != nil || err != nil {
		t.Errorf("without an etcd, the keys are %v (%v), want none", keys, err)
	}

	data := filepath.Join(dir, "etcd-server")
	if err := os.MkdirAll(filepath.Join(data, "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := embed.NewConfig()
	config.Dir, config.ListenPeerUrls, config.UnsafeNoFsync = data, nil, true
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(data, "member", "client.sock")}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	client, err := s.etcd()
	if err != nil || client == nil {
		t.Fatalf("connecting gives %v, %v", client, err)
	}
	defer client.Close()
	const kept = "/annex/core/configmaps/c/default/a"
	for _, key := range []string{kept, "/annex/core/events/c/default/a", "/annex/coordination.k8s.io/leases/c/default/a", "compact_rev_key"} {
		if _, err := client.Put(t.Context(), key, "x"); err != nil {
			t.Fatal(err)
		}
	}

	keys, err := s.keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{kept: true}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	state, err := s.database(t.Context())
	if err != nil || state.keys != 4 || state.size <= 0 || state.inUse <= 0 {
		t.Errorf("the database is %+v (%v), want 4 keys and sizes", state, err)
	}
}
