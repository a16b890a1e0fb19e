package apiexport

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/storage/head"
)

// answering returns a binding that accepts secrets with a label; none for an empty one.
func answering(cluster logicalcluster.Name, revision uint64, label string) *apisv1alpha2.APIBinding {
	binding := clienttest.In(cluster, &apisv1alpha2.APIBinding{})
	binding.Name, binding.ResourceVersion = "b", strconv.FormatUint(revision, 10)
	binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Name: "things"}
	binding.Status.APIExportClusterName = string(provider)
	if label != "" {
		answer := apisv1alpha2.AcceptablePermissionClaim{State: apisv1alpha2.ClaimAccepted}
		answer.Resource, answer.Verbs, answer.Selector.MatchLabels = "secrets", []string{"*"}, map[string]string{"a": label}
		binding.Spec.PermissionClaims = append(binding.Spec.PermissionClaims, answer)
	}
	return binding
}

// What is kept follows the bindings, tells open watches, and goes with the last of them.
func TestAnswers_FollowBindings(t *testing.T) {
	e := &Endpoint{Config: Config{Activity: &activity{}}, answers: &answers{}}
	export := client.Key{Cluster: provider, Name: "things"}
	send := func(kind client.EventType, binding *apisv1alpha2.APIBinding) {
		event := client.Event{Type: kind}
		if binding != nil {
			event.Object = binding
		}
		e.answers.observe(t.Context(), event, func(context.Context) (uint64, error) { return 100, nil })
	}
	since := func(want uint64) {
		t.Helper()
		if got, _ := e.answers.since(export); got != want {
			t.Errorf("the last change is %d, want %d", got, want)
		}
	}
	send(client.Added, answering("early", 1, "b")) // before anything is read: it is no answer yet
	if e.answers.ready() {
		t.Error("ready before the bindings are read")
	}
	send(client.Reset, nil)
	send(client.Added, answering("c1", 50, "b"))
	send(client.Added, answering("c2", 51, ""))
	send(client.Synced, nil)
	since(100)
	if !e.answers.ready() || len(e.answers.current.bindings) != 1 {
		t.Fatalf("kept are %v", e.answers.current)
	}
	ctx, end := context.WithCancel(t.Context())
	w := e.claimedBy(ctx, export, []claims.Key{{Resource: "secrets"}}, "watch", "")
	shows := func(cluster logicalcluster.Name, label string, want bool) {
		t.Helper()
		if got := w.Shows(head.Head{Cluster: cluster, Name: "s", Labels: map[string]string{"a": label}}); got != want {
			t.Errorf("an object of %s with %q shows: %v", cluster, label, got)
		}
	}
	shows("c1", "b", true)
	shows("c1", "c", false)
	shows("c2", "b", false)
	send(client.Modified, answering("c1", 110, "b")) // nothing of it has changed
	since(100)
	if turned := w.Turned(); len(turned) != 0 {
		t.Errorf("turned without a change: %v", turned)
	}
	send(client.Modified, answering("c2", 120, "b"))
	send(client.Modified, answering("c1", 121, ""))
	since(121)
	turned := w.Turned()
	slices.Sort(turned)
	if !slices.Equal(turned, []logicalcluster.Name{"c1", "c2"}) || len(w.Turns()) != 1 {
		t.Errorf("turned: %v", turned)
	}
	shows("c1", "b", false)
	shows("c2", "b", true)
	if list := e.claimedBy(ctx, export, []claims.Key{{Resource: "configmaps"}}, "list", ""); list.Shows(head.Head{Cluster: "c2", Name: "s", Labels: map[string]string{"a": "b"}}) {
		t.Error("another claim shows")
	}
	send(client.Deleted, answering("c2", 130, "b"))
	shows("c2", "b", false)
	since(130)
	end()
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true, func(context.Context) (bool, error) {
		e.answers.mu.RLock()
		defer e.answers.mu.RUnlock()
		return len(e.answers.current.exports) == 0, nil
	}); err != nil {
		t.Errorf("the audience stays: %v", err)
	}
	if len(e.answers.current.bindings) != 0 {
		t.Errorf("left are %v", e.answers.current.bindings)
	}
	since(130) // though nothing is kept of it
	// Read anew: open watches end, since nobody knows what happened meanwhile.
	_, before := e.answers.since(export)
	send(client.Reset, nil)
	send(client.Synced, nil)
	if _, after := e.answers.since(export); after == before {
		t.Error("open watches do not learn that everything was read anew")
	}
}
