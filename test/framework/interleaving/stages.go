package interleaving

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	workspaceTypes = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspacetypes"}
	typesOfAWalk   = []string{"first", "second"}
	// stagesOf maps the endpoint of those who have to finish to their list in the status of a LogicalCluster.
	stagesOf = map[string]string{"initializingworkspaces": "initializers", "terminatingworkspaces": "terminators"}
)

const inactiveAnnotation = "core.kcp.io/inactive"

// stages are workspaces of types whose initializers and terminators come, go, and finish when they like.
type stages struct{ *walk }

// RunStages does walks in which administrators change types, make and delete workspaces of them and switch these off and on, while initializers
// and terminators finish in their own time. Then everybody finishes, and each workspace must be Ready, Inactive, or gone. Check looks when all are
// deleted.
func (c Config) RunStages(t *testing.T, first uint64, walks int) {
	t.Helper()
	steps, err := follow(t.Context(), c.Servers[0])
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range walks {
		seed := first + uint64(i)
		w := &walk{servers: c.Servers, name: fmt.Sprintf("stages-%d", seed), random: rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // repeatable
		group.Go(func() error {
			if err := (&stages{w}).run(t.Context()); err != nil {
				return fmt.Errorf("seed %d: %w\n%s", seed, err, w.said())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := steps.fault(workspaces, logicalClusters); err != nil {
		t.Error(err)
	}
	if missing := steps.lacks(logicalClusters, "Initializing", "Ready", "Inactive", "Terminating", "Deleting"); len(missing) > 0 && walks >= atOnce {
		t.Errorf("the walks have led no logical cluster to %v", missing)
	}
	c.Check(t)
}

func (s *stages) run(ctx context.Context) error {
	root, err := dynamic.NewForConfig(s.at("root"))
	if err != nil {
		return err
	}
	if s.cluster, err = annex.NewWorkspace(ctx, root, s.name, "universal"); err != nil {
		return err
	}
	for _, name := range typesOfAWalk {
		typ := object("tenancy.kcp.io/v1alpha1", "WorkspaceType", name)
		typ.Object["spec"] = map[string]any{
			"extend": map[string]any{"with": []any{map[string]any{"name": "universal", "path": "root"}}}, "initializer": true, "terminator": pick(s.walk, true, false),
		}
		if err := s.create(ctx, s.path(), workspaceTypes, "", typ); err != nil {
			return err
		}
	}
	for range 2 {
		for range steps {
			if err := s.step(ctx); err != nil {
				return err
			}
			time.Sleep(time.Duration(s.random.Int64N(int64(pause))))
		}
		if err := s.settle(ctx, s.check); err != nil {
			return err
		}
	}
	// What is deleted with its parent still waits for its terminators. Their type must not be deleted before.
	for _, name := range []string{"x", "y", "z"} {
		if err := s.remove(ctx, s.path(), workspaces, "", name); err != nil {
			return err
		}
	}
	if err := s.settle(ctx, s.checkGone); err != nil {
		return err
	}
	return s.end(ctx)
}

func (s *stages) step(ctx context.Context) error {
	name := pick(s.walk, "x", "y", "z")
	switch s.random.IntN(9) {
	case 0, 1, 2:
		ws := object("tenancy.kcp.io/v1alpha1", "Workspace", name)
		ws.Object["spec"] = map[string]any{"type": map[string]any{"name": pick(s.walk, typesOfAWalk...), "path": s.path()}}
		return s.create(ctx, s.path(), workspaces, "", ws)
	case 3:
		return s.remove(ctx, s.path(), workspaces, "", name)
	case 4:
		return s.patch(ctx, s.path(), workspaceTypes, pick(s.walk, typesOfAWalk...), fmt.Sprintf(`{"spec":{"initializer":%t,"terminator":%t}}`, pick(s.walk, true, false), pick(s.walk, true, false)))
	case 5, 6:
		// It is refused before the workspace is Ready.
		return s.patch(ctx, s.path()+":"+name, logicalClusters, "cluster", fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, inactiveAnnotation, pick(s.walk, `"true"`, "null")))
	}
	return s.finish(ctx, pick(s.walk, "initializingworkspaces", "terminatingworkspaces"), pick(s.walk, typesOfAWalk...))
}

func (s *stages) patch(ctx context.Context, path string, gvr schema.GroupVersionResource, name, patch string) error {
	client, err := s.client(path, gvr, "")
	if err != nil {
		return err
	}
	_, err = client.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return s.judge(err, "patch %s %s in %s: %s", gvr.Resource, name, path, patch)
}

// finish lets the initializer or terminator of a type remove itself from all that wait for it.
func (s *stages) finish(ctx context.Context, endpoint, typ string) error {
	waiting, err := s.waiting(ctx, endpoint, typ)
	if err != nil {
		return s.judge(err, "list what waits for %s at %s", typ, endpoint)
	}
	for i := range waiting {
		cluster := waiting[i].GetAnnotations()["kcp.io/cluster"]
		names, _, _ := unstructured.NestedStringSlice(waiting[i].Object, "status", stagesOf[endpoint])
		left := slices.DeleteFunc(names, func(name string) bool { return name == s.cluster+":"+typ })
		client, err := s.endpoint(endpoint, typ, cluster)
		if err != nil {
			return err
		}
		quoted := make([]string, len(left))
		for j, name := range left {
			quoted[j] = fmt.Sprintf("%q", name)
		}
		patch := fmt.Sprintf(`{"status":{%q:[%s]}}`, stagesOf[endpoint], strings.Join(quoted, ","))
		_, err = client.Resource(logicalClusters).Patch(ctx, "cluster", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		if err := s.judge(err, "%s finishes in %s at %s", typ, cluster, endpoint); err != nil {
			return err
		}
	}
	return nil
}

// waiting returns the LogicalClusters that an endpoint shows to the initializer or terminator of a type. They must wait for it.
func (s *stages) waiting(ctx context.Context, endpoint, typ string) ([]unstructured.Unstructured, error) {
	client, err := s.endpoint(endpoint, typ, "*")
	if err != nil {
		return nil, err
	}
	list, err := client.Resource(logicalClusters).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		names, _, _ := unstructured.NestedStringSlice(list.Items[i].Object, "status", stagesOf[endpoint])
		if !slices.Contains(names, s.cluster+":"+typ) {
			return nil, fmt.Errorf("%s shows type %s a LogicalCluster that waits for %v", endpoint, typ, names)
		}
	}
	return list.Items, nil
}

func (s *stages) endpoint(endpoint, typ, cluster string) (dynamic.Interface, error) {
	config := rest.CopyConfig(s.at(s.path()))
	base, _, _ := strings.Cut(config.Host, "/clusters/")
	config.Host = base + "/services/" + endpoint + "/" + s.cluster + ":" + typ + "/clusters/" + cluster
	return dynamic.NewForConfig(config)
}

// settle lets everybody finish until check finds nothing.
func (s *stages) settle(ctx context.Context, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		for endpoint := range stagesOf {
			for _, typ := range typesOfAWalk {
				if err := s.finish(ctx, endpoint, typ); err != nil {
					return false, err
				}
			}
		}
		err := check(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("it does not settle: %w: %w", err, last)
	}
	return nil
}

// check returns an error while a workspace is neither Ready nor, as its annotation says, Inactive, or is being deleted.
func (s *stages) check(ctx context.Context) error {
	client, err := s.client(s.path(), workspaces, "")
	if err != nil {
		return err
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		ws := &list.Items[i]
		inside, err := s.client(s.path()+":"+ws.GetName(), logicalClusters, "")
		if err != nil {
			return err
		}
		lc, err := inside.Get(ctx, "cluster", metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("workspace %s: %w", ws.GetName(), err)
		}
		want := "Ready"
		if lc.GetAnnotations()[inactiveAnnotation] == "true" {
			want = "Inactive"
		}
		shown, _, _ := unstructured.NestedString(ws.Object, "status", "phase")
		is, _, _ := unstructured.NestedString(lc.Object, "status", "phase")
		if shown != want || is != want || ws.GetDeletionTimestamp() != nil {
			return fmt.Errorf("workspace %s shows %s, and is %s; want %s", ws.GetName(), shown, is, want)
		}
		configs, err := s.client(s.path()+":"+ws.GetName(), configMaps, "default")
		if err != nil {
			return err
		}
		// The administrator is not system:masters, so what is switched off is closed.
		if _, err := configs.List(ctx, metav1.ListOptions{}); (want == "Ready") != (err == nil) || want == "Inactive" && !apierrors.IsForbidden(err) {
			return fmt.Errorf("workspace %s is %s, and answers with %w", ws.GetName(), want, err)
		}
	}
	return nil
}

// checkGone returns an error while there is a workspace.
func (s *stages) checkGone(ctx context.Context) error {
	client, err := s.client(s.path(), workspaces, "")
	if err != nil {
		return err
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err == nil && len(list.Items) > 0 {
		err = fmt.Errorf("%d workspaces are left", len(list.Items))
	}
	return err
}
