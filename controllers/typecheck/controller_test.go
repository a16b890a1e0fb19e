package typecheck

import (
	"context"
	"errors"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

type checker struct {
	calls    int
	warnings []admissionregistrationv1.ExpressionWarning
	err      error
}

func (c *checker) Check(context.Context, logicalcluster.Name, *admissionregistrationv1.ValidatingAdmissionPolicy) ([]admissionregistrationv1.ExpressionWarning, error) {
	c.calls++
	return c.warnings, c.err
}

func TestReconcile(t *testing.T) {
	fake := clienttest.NewFake()
	c := &checker{warnings: []admissionregistrationv1.ExpressionWarning{{FieldRef: "spec", Warning: "odd"}}}
	spec := Specs(Config{Config: multicluster.Config{Client: fake}, Checker: c})[0]
	key := client.Key{Cluster: "one", Name: "p"}
	if result, err := spec.Reconcile(t.Context(), key); err != nil || !result.IsZero() || c.calls != 0 {
		t.Errorf("a policy that is gone: %v, %v, %d calls", result, err, c.calls)
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 1}}
	if _, err := fake.Create(t.Context(), policies, "one", policy); err != nil {
		t.Fatal(err)
	}
	get := func() *admissionregistrationv1.ValidatingAdmissionPolicy {
		t.Helper()
		p, err := client.Find[admissionregistrationv1.ValidatingAdmissionPolicy](t.Context(), fake, policies, key)
		if err != nil || p == nil {
			t.Fatal(p, err)
		}
		return p
	}
	c.err = errors.New("not now")
	if _, err := spec.Reconcile(t.Context(), key); !errors.Is(err, c.err) || get().Status.TypeChecking != nil {
		t.Errorf("a failure: %v, %v", err, get().Status)
	}
	c.err = nil
	for range 2 { // the second time there is nothing to do
		if _, err := spec.Reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := get().Status; c.calls != 2 || got.ObservedGeneration != 1 || got.TypeChecking == nil || len(got.TypeChecking.ExpressionWarnings) != 1 {
		t.Errorf("%d calls, status %+v", c.calls, got)
	}
}
