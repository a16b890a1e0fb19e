package compaction

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
)

const (
	mib = 1 << 20
	// turnKey is the one that stock compactors agree on.
	turnKey = "compact_rev_key"
)

// house is an etcd with a small quota.
type house struct {
	*testing.T
	client *clientv3.Client
}

func newHouse(t *testing.T, quota int64) *house {
	t.Helper()
	config := testserver.NewTestConfig(t)
	config.QuotaBackendBytes = quota
	// Until it commits, etcd does not count what was written.
	config.BackendBatchInterval = 5 * time.Millisecond
	client := testserver.RunEtcd(t, config)
	t.Cleanup(func() { _ = client.Close() })
	return &house{t, client.Client}
}

// compactor returns a replica's that looks when the test says so. It has looked once.
func (h *house) compactor(interval time.Duration, now clock.PassiveClock) *Compactor {
	h.Helper()
	c := newCompactor(h.client, interval, now)
	h.Cleanup(c.Stop)
	h.settle(c)
	return c
}

func (h *house) look(c *Compactor) {
	h.Helper()
	if err := c.look(h.Context()); err != nil {
		h.Fatal(err)
	}
}

func (h *house) status() *etcdserverpb.StatusResponse {
	h.Helper()
	status, err := etcdserverpb.NewMaintenanceClient(h.client.ActiveConnection()).Status(h.Context(), &etcdserverpb.StatusRequest{})
	if err != nil {
		h.Fatal(err)
	}
	return status
}

// put writes a MiB as one key and returns the revision.
func (h *house) put(key string) (int64, error) {
	resp, err := h.client.Put(h.Context(), key, strings.Repeat("x", mib))
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// grow updates one key with n MiB in all, and returns the last revision.
func (h *house) grow(n int) (revision int64) {
	h.Helper()
	for range n {
		var err error
		if revision, err = h.put("busy"); err != nil {
			h.Fatal(err)
		}
	}
	h.commit()
	return revision
}

// commit returns when etcd counts what was written. What it has compacted is free in the commit after the next.
func (h *house) commit() {
	h.Helper()
	if _, err := etcdserverpb.NewMaintenanceClient(h.client.ActiveConnection()).Hash(h.Context(), &etcdserverpb.HashRequest{}); err != nil {
		h.Fatal(err)
	}
}

// settle lets replicas see what is free now.
func (h *house) settle(all ...*Compactor) {
	h.Helper()
	for range 3 {
		if _, err := h.client.Put(h.Context(), "small", "x"); err != nil {
			h.Fatal(err)
		}
		h.commit()
	}
	for _, c := range all {
		h.look(c)
	}
}

// turns returns how many turns all replicas have had.
func (h *house) turns() int64 {
	h.Helper()
	resp, err := h.client.Get(h.Context(), turnKey)
	if err != nil {
		h.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return 0
	}
	return resp.Kvs[0].Version
}

// wantCompacted fails the test unless etcd has all revisions from that one on, and none before.
func (h *house) wantCompacted(upTo int64) {
	h.Helper()
	if _, err := h.client.Get(h.Context(), "busy", clientv3.WithRev(upTo)); err != nil {
		h.Errorf("revision %d: %v", upTo, err)
	}
	if _, err := h.client.Get(h.Context(), "busy", clientv3.WithRev(upTo-1)); !errors.Is(err, rpctypes.ErrCompacted) {
		h.Errorf("revision %d: %v, want that it was compacted", upTo-1, err)
	}
}

func TestCompactor_OldRevisionsDoNotFillEtcd(t *testing.T) {
	const quota = 64
	h := newHouse(t, quota*mib)
	c := New(h.client, time.Hour)
	defer c.Stop()
	for i := range 3 * quota {
		if _, err := h.put("busy"); err != nil {
			t.Fatalf("after %d MiB: %v", i, err)
		}
		c.Wrote(mib)
	}
	if alarms, err := h.client.AlarmList(t.Context()); err != nil || len(alarms.Alarms) > 0 {
		t.Errorf("alarms: %v, error %v", alarms, err)
	}
}

func TestCompactor_ReplicasTakeOneTurn(t *testing.T) {
	h := newHouse(t, 64*mib)
	one, two := h.compactor(time.Hour, clock.RealClock{}), h.compactor(time.Hour, clock.RealClock{})
	begin := one.revision
	h.grow(16)
	h.look(one)
	h.look(two)
	if n := h.turns(); n != 1 || one.CompactRevision() != begin || two.version != 1 {
		t.Errorf("%d turns, compacted up to %d, want one turn, up to %d; the other knows of %d", n, one.CompactRevision(), begin, two.version)
	}
	upTo := two.revision
	h.grow(16)
	h.look(two)
	h.look(one)
	if n := h.turns(); n != 2 || two.CompactRevision() != upTo {
		t.Errorf("%d turns, compacted up to %d, want two, up to %d", n, two.CompactRevision(), upTo)
	}
	h.wantCompacted(upTo)
	// The other one learns of it when it has lost a turn.
	for one.version < 2 {
		h.grow(4)
		h.look(one)
	}
	if n := h.turns(); n != 2 || one.CompactRevision() != upTo || one.version != 2 {
		t.Errorf("%d turns, the other knows of %d, and that %d is compacted, want %d", n, one.version, one.CompactRevision(), upTo)
	}
}

func TestCompactor_KeepsAShortHistory(t *testing.T) {
	h := newHouse(t, 128*mib)
	now := testingclock.NewFakePassiveClock(time.Now())
	c := h.compactor(time.Hour, now)
	begin := c.revision
	h.grow(12)
	h.look(c)
	if n := h.turns(); n != 0 {
		t.Errorf("%d turns though the history is short", n)
	}
	now.SetTime(now.Now().Add(history))
	h.look(c)
	if n := h.turns(); n != 1 || c.CompactRevision() != begin {
		t.Errorf("%d turns, compacted up to %d, want one, up to %d", n, c.CompactRevision(), begin)
	}
	h.wantCompacted(begin)
	now.SetTime(now.Now().Add(history))
	h.look(c)
	if n := h.turns(); n != 1 {
		t.Errorf("%d turns though nothing was written since the first", n)
	}
}

func TestCompactor_TakesTurnsByTime(t *testing.T) {
	h := newHouse(t, 0)
	now := testingclock.NewFakePassiveClock(time.Now())
	c := h.compactor(5*time.Minute, now)
	upTo, err := h.put("busy")
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(2) {
		now.SetTime(now.Now().Add(5*time.Minute - time.Second))
		h.look(c)
		if n := h.turns(); n != i {
			t.Errorf("%d turns too early", n-i)
		}
		now.SetTime(now.Now().Add(time.Second))
		h.look(c)
		if n := h.turns(); n != i+1 {
			t.Errorf("%d turns, want %d", n, i+1)
		}
	}
	if c.CompactRevision() <= upTo {
		t.Errorf("compacted up to %d, want more than %d", c.CompactRevision(), upTo)
	}
}

func TestCompactor_MakesRoomInAFullEtcd(t *testing.T) {
	h := newHouse(t, 16*mib)
	c := h.compactor(time.Hour, clock.RealClock{})
	const last = 100 // small ones, deleted last
	for i := range last {
		if _, err := h.client.Put(t.Context(), fmt.Sprint("small/", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for i := 0; err == nil; i++ {
		_, err = h.put(fmt.Sprint("large/", i))
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatal(err)
	}
	deleted, err := h.client.Delete(t.Context(), "large/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first up to where it began, the second up to now; nothing is left for the third
		h.look(c)
	}
	if c.CompactRevision() != deleted.Header.Revision || h.turns() != 0 {
		t.Errorf("compacted up to %d in %d turns, want up to %d and none", c.CompactRevision(), h.turns(), deleted.Header.Revision)
	}
	for i := 0; h.status().DbSizeInUse > 4*mib; i++ { // what is free is counted in a later commit, and only deletions make one
		if i == last {
			t.Fatalf("%d bytes are in use", h.status().DbSizeInUse)
		}
		if _, err := h.client.Delete(t.Context(), fmt.Sprint("small/", i)); err != nil {
			t.Fatal(err)
		}
		h.commit()
	}
}

// An operator may compact etcd, too.
func TestCompactor_DoesNotMindOthers(t *testing.T) {
	h := newHouse(t, 64*mib)
	c := h.compactor(time.Hour, clock.RealClock{})
	upTo := h.grow(16)
	if _, err := h.client.Compact(t.Context(), upTo, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for h.turns() < 2 {
		h.settle(c)
		h.grow(10)
		h.look(c)
	}
	if c.CompactRevision() <= upTo {
		t.Errorf("compacted up to %d, want more than %d", c.CompactRevision(), upTo)
	}
}

func TestQuota(t *testing.T) {
	for _, tc := range []struct {
		name              string
		said, size, quota int64
	}{
		{"a member that says it", 5 << 30, 6 << 30, 5 << 30},
		{"an old member", 0, 1 << 30, 2 << 30},
		{"an old member with a large database", 0, 3 << 30, 8 << 30},
		{"a member without", -1, 1 << 30, 2 << 30},
	} {
		if got := quotaOf(&etcdserverpb.StatusResponse{DbSizeQuota: tc.said, DbSize: tc.size}); got != tc.quota {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.quota)
		}
	}
}

func TestGrowth_OfEachMember(t *testing.T) {
	var g growth
	for i, look := range []struct {
		member                    uint64
		used, wantGrown, wantRoom int64
	}{
		{1, 100, 0, 900}, {2, 300, 0, 700}, // they differ
		{1, 150, 50, 900}, {2, 320, 20, 700},
		{1, 80, 0, 920}, {1, 130, 50, 920}, // what was compacted has become free
		{3, 990, 0, 1000 / leastRoom},
	} {
		status := &etcdserverpb.StatusResponse{Header: &etcdserverpb.ResponseHeader{MemberId: look.member}, DbSizeInUse: look.used, DbSizeQuota: 1000}
		if grown, room := g.measure(status); grown != look.wantGrown || room != look.wantRoom {
			t.Errorf("look %d: grown by %d of %d, want %d of %d", i, grown, room, look.wantGrown, look.wantRoom)
		}
	}
}
