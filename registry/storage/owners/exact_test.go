package owners

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/core/limits"
)

// Who creates at the same time in one process need not wait for each other for long: the room is divided.
func TestCharge_RoomIsDivided(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	h.setQuota("q", "configmaps", "100000")
	process := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := range 20 {
				if err := process.create(configMap(fmt.Sprintf("%d-%d", w, i)), 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if keys := h.quotaKeys(); keys < 4 {
		t.Errorf("%d keys", keys)
	}
	h.isCounted(640, 100_000)
	for w := range 32 {
		wg.Go(func() {
			for i := range 20 {
				process.delete(configMap(fmt.Sprintf("%d-%d", w, i)))
			}
		})
	}
	wg.Wait()
	h.isCounted(0, 100_000)
}

// neverExceeded fails the test if, at any revision after since, a ConfigMap was created that made more of them than most.
func (h *house) neverExceeded(since, there, most int64) {
	h.t.Helper()
	now, err := h.etcd.KV.Get(h.t.Context(), "/")
	if err != nil {
		h.t.Fatal(err)
	}
	k := configMap("")
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	creates := 0
	for resp := range h.etcd.Watch(ctx, h.path(k), clientv3.WithPrefix(), clientv3.WithRev(since+1), clientv3.WithProgressNotify()) {
		if err := resp.Err(); err != nil {
			h.t.Fatal(err)
		}
		for _, e := range resp.Events {
			switch {
			case e.Type == clientv3.EventTypeDelete:
				there--
			case e.IsCreate():
				if there++; there > most {
					h.t.Fatalf("at revision %d, %d are there, and %d are allowed", e.Kv.ModRevision, there, most)
				}
				creates++
			}
		}
		if resp.Header.Revision >= now.Header.Revision {
			break
		}
		if err := h.etcd.RequestProgress(ctx); err != nil {
			h.t.Fatal(err)
		}
	}
	h.t.Logf("%d were created, %d are left", creates, there)
}

// More are there than a quota allows when it is created. What is deleted makes room only below that.
func TestCharge_WhileMoreIsUsed(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	const before, most = 60, 20
	for i := range before {
		if err := h.create(configMap(fmt.Sprint("before-", i)), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.setQuota("q", "configmaps", fmt.Sprint(most))
	since := h.revision(quotaKey("q"))
	var wg sync.WaitGroup
	for p := range 3 {
		process := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
		for w := range 4 {
			wg.Go(func() {
				for i := range before / 12 {
					process.delete(configMap(fmt.Sprint("before-", (p*4+w)*before/12+i)))
					k := configMap(fmt.Sprintf("p%d-%d-%d", p, w, i))
					if err := process.create(k, 10); err != nil && !isOver(err) {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range most + 1 {
		if err := h.create(configMap(fmt.Sprint("fill-", i)), 10); err != nil && !isOver(err) {
			t.Error(err)
		}
	}
	h.neverExceeded(since, before, most)
	h.isCounted(most, most)
}

// Whatever several processes do at once, as many are there as the quota allows, and as are counted.
func TestCharge_IsExact(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: 1000})
	const most, each = 40, 30
	for i := range 5 {
		if err := h.create(configMap(fmt.Sprint("before-", i)), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.setQuota("q", "configmaps", fmt.Sprint(most))
	since := h.revision(quotaKey("q"))
	var created atomic.Int64
	var wg sync.WaitGroup
	for p := range 3 {
		process := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
		for w := range 4 {
			wg.Go(func() {
				for i := range each {
					k := configMap(fmt.Sprintf("p%d-%d-%d", p, w, i))
					switch err := process.create(k, 10); {
					case err == nil:
						created.Add(1)
					case !isOver(err):
						t.Error(err)
					}
					if rand.IntN(8) == 0 && process.has(k) {
						process.delete(k)
						created.Add(-1)
					}
				}
				for i := range each { // fill what deletions have left
					k := configMap(fmt.Sprintf("p%d-%d-more-%d", p, w, i))
					if process.create(k, 10) == nil {
						created.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if created.Load() != most-5 {
		t.Errorf("%d were created, want %d", created.Load(), most-5)
	}
	h.isCounted(most, most)
	h.neverExceeded(since, 5, most)
}

// A quota that comes, changes and goes while others write always finds the right number.
func TestCharge_QuotasChangeAtAnyTime(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for p := range 3 {
		process := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				k := configMap(fmt.Sprintf("p%d-%d", p, i))
				if err := process.create(k, 10); err != nil && !isOver(err) {
					t.Error(err)
				} else if err == nil && i%3 > 0 {
					process.delete(k)
				}
			}
		})
	}
	for i := range 30 {
		h.setQuota("q", "configmaps", fmt.Sprint(i))
		there, err := h.objects(t.Context(), configMap(""))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 1 {
			h.setQuota("q", "secrets", "3")
			h.setQuota("q", "configmaps", "0")
			before := there
			if err := h.create(configMap("one more"), 10); !isOver(err) {
				t.Errorf("with %d: %v", before, err)
			}
		}
		if i%5 == 4 {
			h.delete(quotaKey("q"))
		}
	}
	h.setQuota("q", "configmaps", "1000")
	close(stop)
	wg.Wait()
	if err := h.create(configMap("last"), 10); err != nil {
		t.Fatal(err)
	}
	there, err := h.objects(t.Context(), configMap(""))
	if err != nil {
		t.Fatal(err)
	}
	h.isCounted(there, 1000)
}
