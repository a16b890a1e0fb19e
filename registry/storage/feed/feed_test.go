package feed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
)

func start(t *testing.T) (*kubernetes.Client, *Feed) {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	f := New(etcd.Watcher, "/annex/", nil, nil)
	t.Cleanup(func() {
		_ = f.Close()
		_ = etcd.Close()
	})
	return etcd, f
}

// write makes n random writes of a few keys, and returns the revision of the last.
func write(t *testing.T, etcd *kubernetes.Client, random *rand.Rand, n int) (last int64) {
	t.Helper()
	for range n {
		key := fmt.Sprintf("/annex/%c/%c", 'a'+random.IntN(4), 'a'+random.IntN(3))
		if random.IntN(3) == 0 {
			resp, err := etcd.KV.Delete(t.Context(), key)
			if err != nil {
				t.Error(err)
				return 0
			}
			last = resp.Header.Revision
			continue
		}
		resp, err := etcd.KV.Put(t.Context(), key, fmt.Sprint(random.Int()))
		if err != nil {
			t.Error(err)
			return 0
		}
		last = resp.Header.Revision
	}
	return last
}

// read returns the events up to the progress that says that a revision is reached.
func read(ctx context.Context, w clientv3.Watcher, responses clientv3.WatchChan, until int64) ([]string, error) {
	var events []string
	ask := time.NewTicker(20 * time.Millisecond)
	defer ask.Stop()
	for {
		select {
		case response, ok := <-responses:
			if !ok {
				return events, fmt.Errorf("the watch ended after %d events: %w", len(events), ctx.Err())
			}
			if err := response.Err(); err != nil {
				return events, err
			}
			if response.IsProgressNotify() && response.Header.Revision >= until {
				return events, nil
			}
			for _, e := range response.Events {
				events = append(events, fmt.Sprintf("%d %s %s=%s, was %s", e.Kv.ModRevision, e.Type, e.Kv.Key, e.Kv.Value, e.PrevKv.GetValue()))
			}
		case <-ask.C:
			if err := w.RequestProgress(ctx); err != nil {
				return events, err
			}
		}
	}
}

// Whatever the key, the revision and the time at which a watch begins, it gets what a watch of its own gets.
func TestWatch_GetsWhatAWatchOfItsOwnGets(t *testing.T) {
	etcd, f := start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	first := write(t, etcd, random, 50)
	for range 20 {
		now := write(t, etcd, random, random.IntN(20)+1)
		key, opts := "/annex/", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithPrevKV()}
		switch random.IntN(3) {
		case 0:
			key = fmt.Sprintf("/annex/%c/", 'a'+random.IntN(4))
		case 1:
			key, opts = fmt.Sprintf("/annex/%c/%c", 'a'+random.IntN(4), 'a'+random.IntN(3)), []clientv3.OpOption{clientv3.WithPrevKV()}
		}
		opts = append(opts, clientv3.WithRev(first+random.Int64N(now-first+3)), clientv3.WithProgressNotify())
		ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(t.Context()), 30*time.Second)
		fed, own := f.Watch(ctx, key, opts...), etcd.Watch(ctx, key, opts...)
		until := write(t, etcd, random, random.IntN(20)+3)
		want, err := read(ctx, etcd, own, until)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(ctx, f, fed, until)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s %v: got %q, want %q", key, opts, got, want)
		}
		cancel()
	}
	waitForLanes(t, f, 0)
}

func waitForLanes(t *testing.T, f *Feed, want int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		f.lock.Lock()
		n := len(f.lanes)
		f.lock.Unlock()
		if n == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d lanes are left, want %d", n, want)
		}
	}
}

// One watch of etcd serves all that begin within what is remembered, even beside one that does not read.
func TestWatch_OneForAll(t *testing.T) {
	etcd, f := start(t)
	random := rand.New(rand.NewPCG(1, 1))
	first := write(t, etcd, random, 1)
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(t.Context()), 60*time.Second)
	defer cancel()
	idle := f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(first))
	var all sync.WaitGroup
	for i := range 20 {
		now := write(t, etcd, random, 10)
		responses := f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(now-int64(random.IntN(5))))
		until := write(t, etcd, random, 10)
		all.Go(func() {
			if _, err := read(ctx, f, responses, until); err != nil {
				t.Errorf("watch %d: %v", i, err)
			}
		})
	}
	waitForLanes(t, f, 1)
	all.Wait()
	if response := <-idle; response.Events[0].Kv.ModRevision != first {
		t.Errorf("the watch that did not read begins with %d, want %d", response.Events[0].Kv.ModRevision, first)
	}
}

// A watch that begins before what is remembered gets a lane of its own, and loses nothing.
func TestWatch_BeginsBeforeWhatIsRemembered(t *testing.T) {
	etcd, f := start(t)
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(t.Context()), 60*time.Second)
	defer cancel()
	var first, last int64
	var one clientv3.WatchChan
	for i := range 20 {
		resp, err := etcd.KV.Put(ctx, fmt.Sprintf("/annex/big/%d", i), string(make([]byte, 1<<19)))
		if err != nil {
			t.Fatal(err)
		}
		if last = resp.Header.Revision; i == 0 {
			first = last
			one = f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(first))
		}
	}
	if _, err := read(ctx, f, one, last); err != nil {
		t.Fatal(err)
	}
	got, err := read(ctx, f, f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(first)), last)
	if err != nil || len(got) != 20 {
		t.Errorf("got %d events, %v; want 20", len(got), err)
	}
	waitForLanes(t, f, 2)
	f.lock.Lock()
	defer f.lock.Unlock()
	for l := range f.lanes {
		if l.bytes > recentBytes {
			t.Errorf("a lane remembers %d bytes", l.bytes)
		}
	}
}

// The error with which etcd ends a watch reaches all whom it concerns; who watches again is served.
func TestWatch_Compacted(t *testing.T) {
	etcd, f := start(t)
	random := rand.New(rand.NewPCG(2, 2))
	first := write(t, etcd, random, 1)
	last := write(t, etcd, random, 30)
	if _, err := etcd.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(t.Context()), 60*time.Second)
	defer cancel()
	responses := f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(first))
	response := <-responses
	if response.CompactRevision != last || response.Err() == nil {
		t.Errorf("got %v, want that it was compacted at %d", response, last)
	}
	if response, ok := <-responses; ok {
		t.Errorf("then %v, want the end", response)
	}
	until := write(t, etcd, random, 5)
	if got, err := read(ctx, f, f.Watch(ctx, "/annex/", clientv3.WithPrefix(), clientv3.WithRev(last+1)), until); err != nil || len(got) == 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func header(revision int64) *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{Revision: revision}
}

// Progress that a list had already made is not reported.
func TestWatch_ProgressDoesNotGoBack(t *testing.T) {
	s := newSubscriber("/annex/a/", true, 10)
	for _, revision := range []int64{5, 8, 9, 10} {
		response := clientv3.WatchResponse{Header: header(revision)}
		s.take(response)
	}
	if len(s.waiting) != 2 || s.waiting[0].Header.Revision != 9 {
		t.Errorf("got %v, want 9 and 10", s.waiting)
	}
}
