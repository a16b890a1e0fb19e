package annex

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// patience ends a wait for what never comes. It says nothing about how long anything takes: a busy machine may need a minute.
const patience = 2 * time.Minute

// Eventually waits until condition holds, and fails the test with what it last lacked.
func Eventually(tb testing.TB, condition func(ctx context.Context) error) {
	tb.Helper()
	last := errors.New("was never checked")
	err := wait.PollUntilContextTimeout(tb.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := condition(ctx)
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		tb.Fatalf("after %s: %v", patience, last)
	}
}

// Quickly fails the test unless do takes less than limit at one of many attempts. A busy machine slows down some of them; what
// waits for something that is not there does so each time.
func Quickly(tb testing.TB, what string, limit time.Duration, do func()) {
	tb.Helper()
	var took time.Duration
	for range 20 {
		began := time.Now()
		do()
		if took = time.Since(began); took < limit {
			return
		}
	}
	tb.Errorf("%s took %s, want less than %s", what, took, limit)
}

// NewWorkspace creates a workspace below parent, waits until it is Ready, and returns its path and the name of its logical
// cluster. An empty typ is the default of the parent.
func (s *Server) NewWorkspace(parent, name, typ string) (path, cluster string) {
	s.tb.Helper()
	_, client := Clients(s.tb, s.Workspace(parent))
	cluster, err := NewWorkspace(s.tb.Context(), client, name, typ)
	if err != nil {
		s.tb.Fatal(err)
	}
	return parent + ":" + name, cluster
}

// NewWorkspace creates a workspace of one of root's types with a client of its parent. It returns the name of the logical
// cluster as soon as the workspace is Ready.
func NewWorkspace(ctx context.Context, parent dynamic.Interface, name, typ string) (cluster string, err error) {
	workspace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": tenancyv1alpha1.SchemeGroupVersion.String(), "kind": "Workspace", "metadata": map[string]any{"name": name},
	}}
	if typ != "" {
		workspace.Object["spec"] = map[string]any{"type": map[string]any{"name": typ, "path": "root"}}
	}
	resource := parent.Resource(tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"))
	if _, err := resource.Create(ctx, workspace, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("creating workspace %s: %w", name, err)
	}
	return WaitWorkspace(ctx, parent, name)
}

// WaitWorkspace returns the name of the logical cluster of a workspace as soon as that is Ready.
func WaitWorkspace(ctx context.Context, parent dynamic.Interface, name string) (cluster string, err error) {
	var phase string
	resource := parent.Resource(tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"))
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		got, err := resource.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		phase, _, _ = unstructured.NestedString(got.Object, "status", "phase")
		cluster, _, _ = unstructured.NestedString(got.Object, "spec", "cluster")
		return phase == "Ready", nil
	})
	if err != nil {
		return "", fmt.Errorf("waiting for workspace %s in phase %q: %w", name, phase, err)
	}
	return cluster, nil
}
