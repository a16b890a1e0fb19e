package rendered

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/registry/storage/layout"
)

var errDead = errors.New("the process is dead")

// mortal is the etcd of a process that dies at one of its requests: before it reaches etcd, or before the answer comes.
type mortal struct {
	clientv3.KV
	dies     bool // at a request
	requests int  // until then
	after    bool // when etcd has done what is asked
}

// dead reports whether the process is dead.
func (m *mortal) dead() bool { return m.dies && m.requests < 0 }

// spend does a request, unless the process dies.
func (m *mortal) spend(do func() error) error {
	if m.dead() {
		return errDead
	}
	if m.requests--; !m.dead() {
		return do()
	}
	if m.after {
		_ = do() // nobody learns how it ended
	}
	return errDead
}

// Get implements clientv3.KV.
func (m *mortal) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = m.spend(func() error {
		resp, err = m.KV.Get(ctx, key, opts...)
		return err
	})
	return resp, err
}

// Txn implements clientv3.KV.
func (m *mortal) Txn(ctx context.Context) clientv3.Txn { return &mortalTxn{m.KV.Txn(ctx), m} }

type mortalTxn struct {
	clientv3.Txn
	of *mortal
}

// If implements clientv3.Txn.
func (t *mortalTxn) If(cs ...clientv3.Cmp) clientv3.Txn { t.Txn = t.Txn.If(cs...); return t }

// Then implements clientv3.Txn.
func (t *mortalTxn) Then(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Then(ops...); return t }

// Else implements clientv3.Txn.
func (t *mortalTxn) Else(ops ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(ops...); return t }

// Commit implements clientv3.Txn.
func (t *mortalTxn) Commit() (resp *clientv3.TxnResponse, err error) {
	err = t.of.spend(func() error {
		resp, err = t.Txn.Commit()
		return err
	})
	return resp, err
}

// Wherever a process dies that stores rendered objects, the next one shows what was there before the request, or what is there after it.
func TestSame_AfterCrashes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	etcd := testserver.RunEtcd(t, nil)
	life := &mortal{KV: etcd.KV}
	etcd.KV = life
	one, _ := renderingIn(t, etcd)
	other := storing(t)
	ctx := clientv3.WithRequireLeader(t.Context())
	dump := func(s *server) string {
		t.Helper()
		var all []string
		for gr := range map[string]bool{layout.TypedRoot(namespaces): true, layout.TypedRoot(crbs): true, layout.TypedRoot(configMaps): true} {
			found, err := pages(ctx, s, prefix+gr+"/", 1000)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found)
		}
		slices.Sort(all)
		return fmt.Sprint(all)
	}
	crashes, done := 0, 0
	for n := range *requests {
		kind := random.IntN(kinds)
		r := draw(random, n, kind)
		// A cluster is removed in several steps, and by whoever finds it half removed.
		life.dies, life.requests, life.after = kind != removing && random.IntN(2) == 0, random.IntN(3), random.IntN(2) == 0
		got, err := r(ctx, one)
		crashed := life.dead()
		life.dies = false
		if !crashed {
			want, wantErr := r(ctx, other)
			// Of two faults of a request, such as an object that exists in a namespace that does not, memory decides which one is found first.
			same := got == want
			if (err == nil) != (wantErr == nil) {
				same = dump(one) == dump(other)
			}
			if !same {
				t.Fatalf("request %d: got\n%s, %v\nwant\n%s, %v", n, got, err, want, wantErr)
			}
			continue
		}
		crashes++
		one, _ = renderingIn(t, etcd)
		if is := dump(one); is != dump(other) {
			done++
			if _, err := r(ctx, other); err != nil {
				t.Fatal(err)
			}
			if want := dump(other); is != want {
				t.Fatalf("after request %d, at which the process died, there is\n%s\nwant\n%s", n, is, want)
			}
		}
	}
	if t.Logf("%d crashes, %d after the write", crashes, done); *requests >= 1000 && (crashes < *requests/20 || done == 0) {
		t.Error("the process did not die often enough")
	}
}
