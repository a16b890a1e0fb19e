package census

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	basemetrics "k8s.io/component-base/metrics"
	clocktesting "k8s.io/utils/clock/testing"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var created = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func binding(cluster logicalcluster.Name, phase apisv1alpha2.APIBindingPhaseType, ready corev1.ConditionStatus) *apisv1alpha2.APIBinding {
	b := clienttest.In(cluster, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b", CreationTimestamp: metav1.NewTime(created)}})
	b.Status.Phase = phase
	if ready != "" {
		b.Status.Conditions = conditionsv1alpha1.Conditions{{Type: conditionsv1alpha1.ReadyCondition, Status: ready}}
	}
	return b
}

func newRegistered(t *testing.T, at time.Time) (*Census, basemetrics.KubeRegistry, *clocktesting.FakePassiveClock) {
	t.Helper()
	registry, clock := basemetrics.NewKubeRegistry(), clocktesting.NewFakePassiveClock(at)
	c := New(clienttest.NewFake(), clock, "root")
	if err := c.Register(registry.Register, registry.CustomRegister); err != nil {
		t.Fatal(err)
	}
	return c, registry, clock
}

// shows fails the test unless the non-zero samples of a metric are those wanted.
func shows(t *testing.T, registry basemetrics.KubeRegistry, metric string, want ...string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == metric && m.GetGauge().GetValue() != 0 {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				got[fmt.Sprintf("%s=%g", strings.Join(labels, ","), m.GetGauge().GetValue())] = true
			}
		}
	}
	for _, w := range want {
		if !got[w] {
			t.Errorf("%s does not show %s, but %v", metric, w, got)
		}
		delete(got, w)
	}
	if len(got) > 0 {
		t.Errorf("%s also shows %v", metric, got)
	}
}

func TestCensus_CountsPhasesAndConditions(t *testing.T) {
	c, registry, _ := newRegistered(t, created)
	c.see(bindings, client.Event{Type: client.Reset})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("a", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionTrue)})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("b", apisv1alpha2.APIBindingPhaseBinding, corev1.ConditionFalse)})
	shows(t, registry, "kcp_apibinding_phase") // nothing is known yet
	c.see(bindings, client.Event{Type: client.Synced})
	shows(t, registry, "kcp_apibinding_phase", "Binding,root=1", "Bound,root=1")
	shows(t, registry, "kcp_apibinding_condition_status", "Ready,root,True=1", "Ready,root,False=1")
	c.see(bindings, client.Event{Type: client.Modified, Object: binding("b", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionTrue)})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("c", "Odd", "")})
	shows(t, registry, "kcp_apibinding_phase", "Bound,root=2", "Unknown,root=1")
	shows(t, registry, "kcp_apibinding_condition_status", "Ready,root,True=2")
	c.see(bindings, client.Event{Type: client.Deleted, Object: binding("a", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionTrue)})
	shows(t, registry, "kcp_apibinding_phase", "Bound,root=1", "Unknown,root=1")
	// A watch that begins anew keeps the old numbers until it knows the new ones.
	c.see(bindings, client.Event{Type: client.Reset})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("d", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionUnknown)})
	shows(t, registry, "kcp_apibinding_phase", "Bound,root=1", "Unknown,root=1")
	c.see(bindings, client.Event{Type: client.Synced})
	shows(t, registry, "kcp_apibinding_phase", "Bound,root=1")
	shows(t, registry, "kcp_apibinding_condition_status", "Ready,root,Unknown=1")

	ws := clienttest.In("a", &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w"}})
	ws.Status.Phase = "Ready"
	c.see(workspaces, client.Event{Type: client.Added, Object: ws})
	shows(t, registry, "kcp_workspace_count", "Ready,root=1")
	shows(t, registry, "kcp_logicalcluster_count")
}

// Only what was created while the server looked, and until it was ready for the first time.
func TestCensus_TimesWhatBecomesReady(t *testing.T) {
	c, registry, clock := newRegistered(t, created)
	before := binding("before", apisv1alpha2.APIBindingPhaseBinding, corev1.ConditionFalse)
	c.see(bindings, client.Event{Type: client.Reset})
	c.see(bindings, client.Event{Type: client.Added, Object: before})
	c.see(bindings, client.Event{Type: client.Synced})
	c.see(bindings, client.Event{Type: client.Modified, Object: binding("before", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionTrue)})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("at-once", apisv1alpha2.APIBindingPhaseBound, corev1.ConditionTrue)})
	c.see(bindings, client.Event{Type: client.Added, Object: binding("later", apisv1alpha2.APIBindingPhaseBinding, "")})
	clock.SetTime(created.Add(2 * time.Second))
	for _, status := range []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionTrue} {
		c.see(bindings, client.Event{Type: client.Modified, Object: binding("later", apisv1alpha2.APIBindingPhaseBound, status)})
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "kcp_apibinding_ready_duration_ms" {
			continue
		}
		h := family.GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 2 || h.GetSampleSum() != 2000 || h.GetBucket()[0].GetCumulativeCount() != 1 {
			t.Errorf("got %v", h)
		}
		return
	}
	t.Error("nothing is timed")
}

// Whatever happens, the sums are those of the states, and nothing is kept of what is gone.
func TestTally_AddsUp(t *testing.T) {
	tally := newTally(phases, []conditionsv1alpha1.ConditionType{conditionsv1alpha1.ReadyCondition})
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		obj := binding(logicalcluster.Name(fmt.Sprint("c", random.IntN(20))), "", "")
		kind := []client.EventType{client.Added, client.Modified, client.Deleted, client.Added, client.Modified, client.Deleted, client.Reset, client.Synced}[random.IntN(8)]
		status := []corev1.ConditionStatus{"", corev1.ConditionTrue, corev1.ConditionFalse}[random.IntN(3)]
		conditions := conditionsv1alpha1.Conditions{{Type: conditionsv1alpha1.ReadyCondition, Status: status}}
		tally.see(client.Event{Type: kind, Object: obj}, func() state { return tally.of(phases[random.IntN(len(phases))], conditions) })
		var want sums
		for _, s := range tally.current {
			want.add(s, 1)
		}
		if tally.read() != want || len(tally.current) > 20 {
			t.Fatalf("seed %d: %+v, want %+v of %d", seed, tally.read(), want, len(tally.current))
		}
	}
}
