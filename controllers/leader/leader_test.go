package leader

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const patience = 2 * time.Minute

// timing is in the time of synctest, which passes only while all servers wait: a busy machine makes no leader late.
func timing() Timing {
	return Timing{LeaseDuration: 2 * time.Second, RenewDeadline: 500 * time.Millisecond, RetryPeriod: 50 * time.Millisecond}
}

// candidate is one server that stands for election until it is stopped.
type candidate struct {
	t       *testing.T
	stop    context.CancelFunc
	started chan struct{} // gets a value for each beginning of work
	asked   chan struct{} // gets a value each time work is asked to end
	release chan struct{} // work ends when this is closed
	done    chan error
}

// stand makes a server called identity stand for election. At most one of those that share working may work.
func stand(t *testing.T, cl *clienttest.Fake, identity string, working *atomic.Int32) *candidate {
	t.Helper()
	c := &candidate{t: t, started: make(chan struct{}, 8), asked: make(chan struct{}, 8), release: make(chan struct{}), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	t.Cleanup(cancel)
	go func() {
		c.done <- Run(ctx, Config{Live: cl, Writer: cl, Identity: identity, Timing: timing()}, func(ctx context.Context) error {
			if working.Add(1) > 1 {
				t.Errorf("%s works beside another", identity)
			}
			defer working.Add(-1)
			c.started <- struct{}{}
			<-ctx.Done()
			c.asked <- struct{}{}
			select {
			case <-c.release:
			case <-t.Context().Done(): // the test has failed
			}
			return nil
		})
	}()
	return c
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waiting for %s in vain", what)
	}
}

func holder(t *testing.T, c *clienttest.Fake) string {
	t.Helper()
	obj, err := c.Get(t.Context(), leases, client.Key{Cluster: Cluster, Namespace: Namespace, Name: Name})
	if err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(obj.(*coordinationv1.Lease).Spec.HolderIdentity, "")
}

func TestRun_HandsOverWhenWorkHasEnded(t *testing.T) { synctest.Test(t, handsOverWhenWorkHasEnded) }

func handsOverWhenWorkHasEnded(t *testing.T) {
	c := clienttest.NewFake()
	var working atomic.Int32
	first := stand(t, c, "first", &working)
	wait(t, "the first", first.started)
	second := stand(t, c, "second", &working)
	first.stop()
	wait(t, "the first to be asked", first.asked)
	// It takes its time: longer than the lease is good for without renewal.
	select {
	case <-second.started:
		t.Fatal("the second works before the first has ended")
	case <-time.After(timing().LeaseDuration + time.Second):
	}
	close(first.release)
	began := time.Now()
	if err := <-first.done; err != nil {
		t.Error(err)
	}
	wait(t, "the second", second.started)
	if took := time.Since(began); took > timing().LeaseDuration {
		t.Errorf("handing over took %s, want less than the %s of a lease", took, timing().LeaseDuration)
	}
	if got := holder(t, c); got != "second" {
		t.Errorf("%q holds the lease", got)
	}
	close(second.release)
}

func TestRun_StopsWorkWithoutRenewalAndBeginsAgain(t *testing.T) {
	synctest.Test(t, stopsWorkWithoutRenewalAndBeginsAgain)
}

func stopsWorkWithoutRenewalAndBeginsAgain(t *testing.T) {
	c := clienttest.NewFake()
	var working atomic.Int32
	var broken atomic.Bool
	c.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if broken.Load() && verb == "update" {
			return errors.New("etcd is away")
		}
		return nil
	})
	only := stand(t, c, "only", &working)
	close(only.release)
	for range 2 {
		wait(t, "work", only.started)
		broken.Store(true)
		wait(t, "work to be asked to end", only.asked)
		broken.Store(false)
	}
	wait(t, "work", only.started)
	only.stop()
	if err := <-only.done; err != nil {
		t.Error(err)
	}
	if got := holder(t, c); got != "" {
		t.Errorf("%q holds the lease after the end", got)
	}
}

func TestRun_EndsWhileItWaits(t *testing.T) { synctest.Test(t, endsWhileItWaits) }

func endsWhileItWaits(t *testing.T) {
	c := clienttest.NewFake()
	var working atomic.Int32
	first := stand(t, c, "first", &working)
	close(first.release)
	wait(t, "the first", first.started)
	second := stand(t, c, "second", &working)
	second.stop()
	if err := <-second.done; err != nil {
		t.Error(err)
	}
	if got := holder(t, c); got != "first" {
		t.Errorf("%q holds the lease", got)
	}
}

func TestLock_DoesNotGiveUpWhatAnotherHolds(t *testing.T) {
	c := clienttest.NewFake()
	mine := &lock{live: c, writer: c, identity: "mine", renewed: func() {}}
	other := &lock{live: c, writer: c, identity: "other", renewed: func() {}}
	record, _, err := mine.Get(t.Context())
	if err == nil {
		t.Fatalf("there is a lease already: %v", record)
	}
	held := func(identity string) (r resourcelock.LeaderElectionRecord) {
		r.HolderIdentity, r.LeaseDurationSeconds = identity, 2
		return r
	}
	if err := mine.Create(t.Context(), held("mine")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Update(t.Context(), held("other")); err != nil {
		t.Fatal(err)
	}
	if err := mine.Update(t.Context(), held("mine")); err == nil {
		t.Error("a lease was renewed that somebody else had written since")
	}
	if _, _, err := mine.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := mine.Update(t.Context(), held("")); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("giving up the lease of another gives %v", err)
	}
	if got := holder(t, c); got != "other" {
		t.Errorf("%q holds the lease", got)
	}
}

func TestTiming_Validate(t *testing.T) {
	for name, tc := range map[string]struct {
		timing Timing
		want   string
	}{
		"as by default":       {Timing{15 * time.Second, 10 * time.Second, 2 * time.Second}, ""},
		"no lease":            {Timing{0, 0, 0}, "at least"},
		"a short lease":       {Timing{10 * time.Second, 10 * time.Second, 2 * time.Second}, "longer than the renew deadline"},
		"too few attempts":    {Timing{15 * time.Second, 10 * time.Second, 9 * time.Second}, "retry period"},
		"attempts all at one": {Timing{15 * time.Second, 10 * time.Second, 0}, "retry period"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.timing.Validate()
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Validate() = %v, want %q", err, tc.want)
			}
		})
	}
}
