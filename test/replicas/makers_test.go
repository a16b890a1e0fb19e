package replicas

import (
	"context"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// fleetClients make the workspaces that are there before the load.
	fleetClients = 16
	// pageSize is how many workspaces are listed at a time.
	pageSize = 500
)

// askWorkspace is measured from the request to Ready.
const askWorkspace = "make workspace"

// makeFleet makes n workspaces below root and returns their names.
func makeFleet(t *testing.T, s *service, w *world, n int) []string {
	t.Helper()
	clients := make([]dynamic.Interface, fleetClients)
	for i := range clients {
		var err error
		if clients[i], err = s.connect(t, w.replicas[0].For(t).Config(annex.ContextBase), newMeasurements()).Cluster("root"); err != nil {
			t.Fatal(err)
		}
	}
	names := make([]string, n)
	took, err := crowd.Parallel(t.Context(), len(clients), n, func(ctx context.Context, client, i int) error {
		names[i] = fmt.Sprintf("fleet-%d", i)
		_, err := annex.NewWorkspace(ctx, clients[client], names[i], "universal")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d workspaces were made in %s", n, took)
	return names
}

// maker makes workspaces below root, one after the other.
type maker struct {
	t     *testing.T
	m     *measurements
	ways  *serviceClient
	names []string
}

// work makes workspaces until stopped.
func (k *maker) work(stopped <-chan struct{}) {
	root, err := k.ways.Cluster("root")
	if err != nil {
		k.t.Error(err)
		return
	}
	for {
		select {
		case <-stopped:
			return
		default:
		}
		name := fmt.Sprintf("made-%d", len(k.names))
		if err := k.make(root, name); err != nil {
			k.t.Errorf("making workspace %s: %v", name, err)
			return
		}
		k.names = append(k.names, name)
		_ = crowd.Sleep(k.t.Context(), callerPace)
	}
}

// make asks for a workspace until it is Ready.
func (k *maker) make(root dynamic.Interface, name string) error {
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	done, doubts := k.m.start(askWorkspace), k.ways.doubts.Load()
	for again := false; ; again = true {
		_, err := annex.NewWorkspace(ctx, root, name, "universal")
		if apierrors.IsAlreadyExists(err) && (again || k.ways.doubts.Load() != doubts) {
			_, err = annex.WaitWorkspace(ctx, root, name)
		}
		if err == nil {
			done()
			return nil
		}
		if !retriable(err) || crowd.Sleep(ctx, pace) != nil {
			return err
		}
	}
}

// checkWorkspaces fails the test unless a replica has each of the named workspaces below root, once, Ready, and with a cluster of its own.
func checkWorkspaces(t *testing.T, root dynamic.Interface, names []string) {
	t.Helper()
	found, clusters := map[string]bool{}, map[string]string{}
	for next := ""; ; {
		list, err := root.Resource(workspaces).List(t.Context(), metav1.ListOptions{Limit: pageSize, Continue: next})
		if err != nil {
			t.Errorf("listing workspaces: %v", err)
			return
		}
		for i := range list.Items {
			name := list.Items[i].GetName()
			phase, _, _ := unstructured.NestedString(list.Items[i].Object, "status", "phase")
			cluster, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "cluster")
			if other, taken := clusters[cluster]; taken || found[name] {
				t.Errorf("workspace %s is there twice, or has cluster %q of workspace %s", name, cluster, other)
			}
			found[name], clusters[cluster] = phase == "Ready", name
		}
		if next = list.GetContinue(); next == "" {
			break
		}
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("workspace %s was Ready, and is not", name)
		}
	}
}
