package etcd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/storage"
)

const (
	mib = 1 << 20
	// many is more than a small etcd takes, though it counts what it has only when it commits.
	many = 1000
)

// startSmall starts an embedded etcd with limits of its own.
func startSmall(t *testing.T, sizes sizes) (*Embedded, *kubernetes.Client) {
	t.Helper()
	server, err := startSized(t.Context(), filepath.Join(t.TempDir(), "etcd"), sizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	client, err := server.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

// fill writes up to n keys of 1 MiB and returns how many there are when etcd takes no more.
func fill(t *testing.T, client *kubernetes.Client, n int) int {
	t.Helper()
	for i := range n {
		if _, err := client.Client.Put(t.Context(), fmt.Sprintf("fill/%d", i), strings.Repeat("x", mib)); errors.Is(err, rpctypes.ErrNoSpace) {
			return i
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// empty deletes what fill wrote, and returns the revision.
func empty(t *testing.T, client *kubernetes.Client) int64 {
	t.Helper()
	resp, err := client.Client.Delete(t.Context(), "fill/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

func compact(t *testing.T, client *kubernetes.Client, revision int64) {
	t.Helper()
	if _, err := client.Client.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok. It takes long only if it never happens.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not happen that %s", what)
		}
	}
}

func TestSpace_FileShrinks(t *testing.T) {
	server, client := startSmall(t, sizes{quota: 256 * mib, floor: 16 * mib, period: 10 * time.Millisecond})
	fill(t, client, 32)
	if _, err := client.Client.Put(t.Context(), "kept", "value"); err != nil {
		t.Fatal(err)
	}
	compact(t, client, empty(t, client))
	size := server.server.Server.Backend().Size
	eventually(t, "the file shrinks", func() bool {
		// What was compacted is free in the commit after the next.
		if _, err := client.Client.Put(t.Context(), "busy", "value"); err != nil {
			t.Fatal(err)
		}
		return size() < 4*mib
	})
	if resp, err := client.Client.Get(t.Context(), "kept"); err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "value" {
		t.Errorf("what was kept: %v, error %v", resp, err)
	}
	if n := fill(t, client, 32); n != 32 {
		t.Errorf("the etcd takes only %d MiB afterwards", n)
	}
}

func TestSpace_FullEtcdTakesWritesAgain(t *testing.T) {
	_, client := startSmall(t, sizes{quota: 16 * mib, floor: mib, unused: time.Hour, pause: time.Hour, period: 10 * time.Millisecond})
	if n := fill(t, client, many); n == many {
		t.Fatal("the etcd is not full")
	}
	compact(t, client, empty(t, client))
	eventually(t, "the etcd takes writes", func() bool {
		_, err := client.Client.Put(t.Context(), "again", "value")
		return err == nil
	})
}

// The watch caches of storage compact the etcd, also while it is full.
func TestSpace_ServerRecoversByItself(t *testing.T) {
	_, client := startSmall(t, sizes{quota: 16 * mib, floor: mib, unused: time.Hour, pause: time.Hour, period: 10 * time.Millisecond})
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: func(schema.GroupResource) (runtime.Codec, error) {
		return nil, errors.New("nothing typed is stored here")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	if n := fill(t, client, many); n == many {
		t.Fatal("the etcd is not full")
	}
	empty(t, client)
	eventually(t, "the etcd takes writes", func() bool {
		_, err := client.Client.Put(t.Context(), "again", "value")
		return err == nil
	})
}

// That data is damaged must not be forgotten.
func TestSpace_OtherAlarmsStay(t *testing.T) {
	server, client := startSmall(t, sizes{quota: 16 * mib, floor: mib, period: time.Hour})
	for _, alarm := range []etcdserverpb.AlarmType{etcdserverpb.AlarmType_NOSPACE, etcdserverpb.AlarmType_CORRUPT} {
		if _, err := etcdserverpb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), &etcdserverpb.AlarmRequest{
			Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: alarm, MemberID: 1,
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := &space{sizes: sizes{quota: 16 * mib, floor: mib}, server: server.server.Server}
	if err := s.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alarms := server.server.Server.Alarms(); len(alarms) != 1 || alarms[0].Alarm != etcdserverpb.AlarmType_CORRUPT {
		t.Errorf("alarms: %v", alarms)
	}
}

func TestSpace_IsMadeOnlyWhenItIsWorthWhile(t *testing.T) {
	limits := sizes{quota: 800, floor: 50, unused: time.Hour, pause: time.Minute}
	now := time.Now()
	for _, tc := range []struct {
		name       string
		size, used int64
		full       bool
		halfFree   time.Duration // for how long more than half was free before
		last       time.Duration // how long ago the last time was; 0 if there was none
		want       bool
	}{
		{name: "half free for long", size: 400, used: 199, halfFree: time.Hour, want: true},
		{name: "half free since now", size: 400, used: 199},
		{name: "less than half free", size: 400, used: 200, halfFree: time.Hour},
		{name: "too small", size: 49, used: 0, halfFree: time.Hour},
		{name: "just done", size: 400, used: 199, halfFree: time.Hour, last: time.Second},
		{name: "near the quota", size: 701, used: 600, want: true},
		{name: "near the quota, and used", size: 701, used: 602},
		{name: "full, with room", size: 800, used: 700, full: true, want: true},
		{name: "full, without room", size: 800, used: 701, full: true},
		{name: "full, just done", size: 800, used: 700, full: true, last: time.Second},
		{name: "full, but not any more", size: 700, used: 600, full: true},
	} {
		s := space{sizes: limits}
		if tc.halfFree > 0 {
			s.halfFree = now.Add(-tc.halfFree)
		}
		if tc.last > 0 {
			s.last = now.Add(-tc.last)
		}
		if got := s.worthwhile(now, tc.size, tc.used, tc.full); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	// Once it is needed again, the time begins anew.
	s := space{sizes: limits, halfFree: now.Add(-time.Hour)}
	if s.worthwhile(now, 400, 300, false) || s.worthwhile(now, 400, 199, false) {
		t.Error("a file that was used meanwhile is defragmented")
	}
}
