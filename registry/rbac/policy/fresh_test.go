package policy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// lagging is a reader that is behind until it is waited for.
type lagging struct {
	client.Reader
	now      client.Reader
	revision uint64
	lists    atomic.Int32

	mu     sync.Mutex
	behind bool
	// written is the revision of the last write in workspace a.
	written uint64
	err     error
	waits   int
}

func (l *lagging) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	l.lists.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind {
		return l.Reader.List(ctx, gr, scope)
	}
	return l.now.List(ctx, gr, scope)
}

func (l *lagging) Wait(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits++
	if l.err != nil {
		return 0, l.err
	}
	l.behind = false
	return l.revision, nil
}

func (l *lagging) Unchanged(cluster logicalcluster.Name, since, until uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (cluster != "a" || l.written <= since) && until <= l.revision
}

// stale returns a reader that does not know yet what alice was given in workspace a.
func stale(objects ...client.Object) *lagging {
	return &lagging{Reader: clienttest.NewFake(), now: clienttest.NewFake(objects...), revision: 7, behind: true}
}

// following returns an evaluator that was in step a moment ago.
func following(t *testing.T, from *lagging) *Evaluator {
	t.Helper()
	e := New(from, from)
	if _, err := e.indexes.Now(t.Context(), "elsewhere"); err != nil {
		t.Fatal(err)
	}
	from.behind = true
	return e
}

func decideFor(t *testing.T, e *Evaluator, name string) authorizer.Decision {
	t.Helper()
	decision, _, err := e.Authorize(t.Context(), "a", ask(person(name), "get", "default"))
	if err != nil && decision == authorizer.DecisionAllow {
		t.Errorf("allowed with error %v", err)
	}
	return decision
}

func TestEvaluator_LooksAgainBeforeItSaysNo(t *testing.T) {
	given := []client.Object{clusterRole("a", "reader", readConfigMaps), clusterRoleBinding("a", "readers", "reader", userSubject("alice"))}
	from := stale(given...)
	e := following(t, from)
	if got := decideFor(t, e, "alice"); got != authorizer.DecisionAllow {
		t.Errorf("what alice was just given is not known: %v", got)
	}
	if got := decideFor(t, e, "mallory"); got != authorizer.DecisionNoOpinion {
		t.Errorf("mallory: %v", got)
	}
	from = stale(given...)
	if err := following(t, from).MayGrant(t.Context(), person("alice"), "a", "", []rbacv1.PolicyRule{readConfigMaps}); err != nil {
		t.Errorf("alice cannot pass on what she was just given: %v", err)
	}
	from = stale(given...)
	e = following(t, from)
	from.err = errors.New("etcd is away")
	decision, _, err := e.Authorize(t.Context(), "a", ask(person("alice"), "get", "default"))
	if decision != authorizer.DecisionDeny || err == nil {
		t.Errorf("refused without an error though nobody knows: %v, %v", decision, err)
	}
}

func TestEvaluator_ReadsNothingAgainWhileNothingIsWrittenInTheCluster(t *testing.T) {
	from := stale(clusterRole("a", "reader", readConfigMaps), clusterRoleBinding("a", "readers", "reader", userSubject("alice")))
	e := New(from, from)
	e.inStep(t)
	decideFor(t, e, "mallory")
	before := from.lists.Load()
	for range 10 {
		decideFor(t, e, "mallory")
	}
	if after := from.lists.Load(); after != before {
		t.Errorf("%d lists for refusals at one revision", after-before)
	}
	for range 10 {
		from.revision++
		decideFor(t, e, "mallory")
	}
	if after := from.lists.Load(); after != before {
		t.Errorf("%d lists for refusals and writes elsewhere", after-before)
	}
	from.revision++
	from.written = from.revision
	decideFor(t, e, "mallory")
	if from.lists.Load() == before {
		t.Error("something was written and nothing read")
	}
}

// A watch that delivers nothing, as in a minority of etcd that is cut off, must not keep alive what was revoked.
func TestEvaluator_DoesNotTrustForEverWhatItCannotConfirm(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Now())
	from := stale(clusterRole("a", "reader", readConfigMaps), clusterRoleBinding("a", "readers", "reader", userSubject("alice")))
	e := newEvaluator(from, from, 0, clock)
	e.inStep(t)
	if got := decideFor(t, e, "alice"); got != authorizer.DecisionAllow {
		t.Fatalf("got %v", got)
	}
	from.mu.Lock()
	from.err = errors.New("etcd is away")
	from.mu.Unlock()
	clock.SetTime(clock.Now().Add(distrustAfter - time.Second))
	if got := decideFor(t, e, "alice"); got != authorizer.DecisionAllow {
		t.Errorf("a short outage stops alice: %v", got)
	}
	clock.SetTime(clock.Now().Add(2 * time.Second))
	if got := decideFor(t, e, "alice"); got != authorizer.DecisionDeny {
		t.Errorf("alice is let in by a policy that nobody has confirmed: %v", got)
	}
	from.mu.Lock()
	from.err = nil
	from.mu.Unlock()
	if got := decideFor(t, e, "alice"); got != authorizer.DecisionAllow {
		t.Errorf("alice stays out: %v", got)
	}
}

// inStep makes e keep what it compiles.
func (e *Evaluator) inStep(t *testing.T) {
	t.Helper()
	go func() { _ = e.Run(t.Context()) }()
	eventually(t, e.indexes.InStep)
}
