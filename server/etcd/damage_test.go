package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cutLog starts an etcd on dir, writes, stops it, and cuts its log short.
func cutLog(t *testing.T, dir string) {
	t.Helper()
	server, err := StartEmbedded(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := server.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := client.KV.Put(t.Context(), fmt.Sprintf("key-%d", i), strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	if err := os.Truncate(logs[0], 60_000); err != nil {
		t.Fatal(err)
	}
}

func TestEmbedded_SaysThatItsLogIsCutShort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	cutLog(t, dir)
	_, err := StartEmbedded(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "write-ahead log") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error = %v", err)
	}
}

func TestEmbedded_StopsBeforeItIsReady(t *testing.T) {
	// Not the directory of the test, since etcd may still be reading there.
	dir, err := os.MkdirTemp("", "annex-etcd-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cutLog(t, dir)
	// The log is known to be short only after two seconds.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := StartEmbedded(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v", err)
	}
}
