package etcd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEmbedded_KeepsDataAndListensOnItsSocketOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	for _, want := range []int64{0, 1} {
		server, err := StartEmbedded(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(server.server.Peers) != 0 || len(server.server.Clients) != 1 || server.server.Clients[0].Addr().Network() != "unix" {
			t.Errorf("etcd listens on %v and %v", server.server.Peers, server.server.Clients)
		}
		if _, err := StartEmbedded(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a second etcd on %s: %v", dir, err)
		}
		client, err := server.NewClient(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.KV.Get(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		if got.Count != want {
			t.Errorf("found %d keys, want %d", got.Count, want)
		}
		if _, err := client.KV.Put(t.Context(), "key", "value"); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		server.Stop()
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("others may enter %s: %s", dir, info.Mode())
	}
}

func TestEmbedded_RefusesForeignData(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := StartEmbedded(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("error = %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "member")); err == nil {
		t.Error("the directory was written to")
	}
}
