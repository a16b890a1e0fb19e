package clientgo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"

	"github.com/annex-dev/annex/test/framework/annex"
)

// candidate wants to lead, and can lose its connection as a process that is killed does.
type candidate struct {
	elector *leaderelection.LeaderElector
	dead    atomic.Bool
}

var errDead = errors.New("the candidate is dead")

// candidacy returns a candidate that reports with leads when it begins and ends to lead.
func candidacy(t *testing.T, config *rest.Config, name string, leads func(name string, leads bool)) *candidate {
	t.Helper()
	c := &candidate{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if c.dead.Load() {
				return nil, errDead
			}
			return next.RoundTrip(r)
		})
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "default", "operator", client.CoreV1(), client.CoordinationV1(), resourcelock.ResourceLockConfig{
		Identity: name, EventRecorder: record.NewFakeRecorder(100),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 10 * time.Second, RenewDeadline: 6 * time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { leads(name, true) },
			OnStoppedLeading: func() { leads(name, false) },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Of two candidates one leads. When it dies the other one takes over, and when that one leaves it says so in the Lease.
func TestElection_TheOtherTakesOver(t *testing.T) {
	t.Parallel()
	config := workspace(t, "election")
	var mu sync.Mutex
	leading, longest := map[string]bool{}, 0
	leads := func(name string, does bool) {
		mu.Lock()
		defer mu.Unlock()
		delete(leading, name)
		if does {
			leading[name] = true
		}
		longest = max(longest, len(leading))
	}
	only := func(want string) func(context.Context) error {
		return func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if len(leading) != 1 || !leading[want] {
				return fmt.Errorf("leading are %v, want %s", leading, want)
			}
			return nil
		}
	}
	first, second := candidacy(t, config, "first", leads), candidacy(t, config, "second", leads)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { first.elector.Run(ctx) })
	annex.Eventually(t, only("first"))
	running.Go(func() { second.elector.Run(ctx) })
	annex.Eventually(t, func(context.Context) error {
		if leader := second.elector.GetLeader(); leader != "first" {
			return fmt.Errorf("the second candidate follows %q", leader)
		}
		return only("first")(t.Context())
	})
	first.dead.Store(true)
	annex.Eventually(t, only("second"))

	typed, _ := annex.Clients(t, config)
	lease, err := typed.CoordinationV1().Leases("default").Get(t.Context(), "operator", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *lease.Spec.HolderIdentity != "second" || *lease.Spec.LeaseTransitions != 1 {
		t.Errorf("the Lease is %+v", lease.Spec)
	}
	stop()
	running.Wait()
	if lease, err = typed.CoordinationV1().Leases("default").Get(t.Context(), "operator", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && strings.TrimSpace(*holder) != "" {
		t.Errorf("nobody leads, and the Lease names %s", *holder)
	}
	if longest != 1 {
		t.Errorf("%d candidates led at the same time", longest)
	}
}
