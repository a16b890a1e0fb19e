package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	workspacelimits "github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

func sizedConfigMap(name string, size int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"x": strings.Repeat("x", size)}}
}

// limitTo sets the limit of objects of a workspace.
func limitTo(t *testing.T, client dynamic.Interface, value string, subresources ...string) error {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, corev1alpha1.MaxTotalObjectsAnnotationKey, value)
	_, err := client.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	return err
}

var reached = regexp.MustCompile(`has reached its total object count limit \((\d+)/1 objects\)`)

func TestLimits_ObjectsOfAWorkspace(t *testing.T) {
	server := start(t)
	path := workspace(t, server)
	admit(t, server, path, alice)
	typed, operator := annex.Clients(t, server.As(token("operator"), path))
	hers, dynamicHers := annex.Clients(t, server.As(token(alice), path))
	apply(t, server.Workspace(path), gadgetCRD)
	waitCondition(t, operator.Resource(crds), "gadgets.example.org", "Established", "True", "")

	if err := limitTo(t, operator, "many"); !apierrors.IsInvalid(err) {
		t.Errorf("a limit that is no number: %v", err)
	}
	if err := limitTo(t, operator, "1"); err != nil {
		t.Fatal(err)
	}
	_, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("a", 1), metav1.CreateOptions{})
	stored := reached.FindStringSubmatch(fmt.Sprint(err))
	if !apierrors.IsForbidden(err) || stored == nil {
		t.Fatalf("above the limit: %v", err)
	}
	var count int
	if _, err := fmt.Sscan(stored[1], &count); err != nil {
		t.Fatal(err)
	}
	const room, wanted = 5, 20
	if err := limitTo(t, operator, fmt.Sprint(count+room)); err != nil {
		t.Fatal(err)
	}
	if got := fillUp(t, hers, dynamicHers, wanted); got != room {
		t.Errorf("%d objects are created where there is room for %d", got, room)
	}
	// A tenant can free room, and cannot make it.
	if err := hers.CoreV1().ConfigMaps("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "filled"}); err != nil {
		t.Fatal(err)
	}
	freed := room - gadgetsLeft(t, dynamicHers)
	if got := fillUp(t, hers, dynamicHers, wanted); got != freed {
		t.Errorf("%d objects are created where there is room for %d", got, freed)
	}
	for _, subresource := range [][]string{nil, {"status"}} {
		err := limitTo(t, dynamicHers, "0", subresource...)
		lc, readErr := operator.Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
		if readErr != nil {
			t.Fatal(readErr)
		}
		if limit := lc.GetAnnotations()[corev1alpha1.MaxTotalObjectsAnnotationKey]; limit != fmt.Sprint(count+room) || subresource == nil && !apierrors.IsForbidden(err) {
			t.Errorf("a tenant changes the limit %v to %q: %v", subresource, limit, err)
		}
	}
}

// fillUp creates ConfigMaps and gadgets, many at a time, and returns how many there was room for.
func fillUp(t *testing.T, typed kubernetes.Interface, custom dynamic.Interface, wanted int) int {
	t.Helper()
	var created atomic.Int64
	var group sync.WaitGroup
	for i := range wanted {
		group.Go(func() {
			name := uniqueName("filled")
			var err error
			if i%2 == 0 {
				cm := sizedConfigMap(name, 1)
				cm.Labels = map[string]string{"filled": ""}
				_, err = typed.CoreV1().ConfigMaps("default").Create(t.Context(), cm, metav1.CreateOptions{})
			} else {
				gadget := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": map[string]any{"name": name}}}
				_, err = custom.Resource(gadgets).Namespace("default").Create(t.Context(), gadget, metav1.CreateOptions{})
			}
			if err == nil {
				created.Add(1)
			} else if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "total object count limit") {
				t.Errorf("creating %s: %v", name, err)
			}
		})
	}
	group.Wait()
	return int(created.Load())
}

func gadgetsLeft(t *testing.T, client dynamic.Interface) int {
	t.Helper()
	left, err := client.Resource(gadgets).Namespace("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(left.Items)
}

func TestLimits_OfAWorkspaceType(t *testing.T) {
	server := start(t)
	parent := workspace(t, server)
	_, operator := annex.Clients(t, server.Workspace(parent))
	ofType := func(limit string) *unstructured.Unstructured {
		wt := parse(t, `
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
spec: {extend: {with: [{name: universal, path: root}]}}
`)
		wt.SetName(uniqueName("small"))
		wt.SetAnnotations(map[string]string{corev1alpha1.MaxTotalBytesAnnotationKey: limit})
		return wt
	}
	if _, err := operator.Resource(workspaceTypes).Create(t.Context(), ofType("a lot"), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a limit that is no quantity: %v", err)
	}
	made := func(limit, phase string) (name string) {
		t.Helper()
		wt, err := operator.Resource(workspaceTypes).Create(t.Context(), ofType(limit), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ws := parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\n")
		ws.SetName(uniqueName("limited"))
		_ = unstructured.SetNestedStringMap(ws.Object, map[string]string{"name": wt.GetName(), "path": parent}, "spec", "type")
		if _, err := operator.Resource(workspaces).Create(t.Context(), ws, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if phase == "" {
			return ws.GetName()
		}
		eventually(t, ws.GetName()+" is "+phase, func(ctx context.Context) (bool, error) {
			got, err := operator.Resource(workspaces).Get(ctx, ws.GetName(), metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			is, _, _ := unstructured.NestedString(got.Object, "status", "phase")
			return is == phase, nil
		})
		return ws.GetName()
	}
	name := made("100Ki", "Ready")
	typed, _ := annex.Clients(t, server.Workspace(parent+":"+name))
	_, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("big", 200_000), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "/102400 bytes): this write adds 200") {
		t.Errorf("above the limit of the type: %v", err)
	}
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("small", 50_000), metav1.CreateOptions{}); err != nil {
		t.Errorf("below the limit of the type: %v", err)
	}
	gone(t, operator.Resource(workspaces), name)

	// What every workspace contains has no room.
	tiny := made("10", "")
	waitCondition(t, operator.Resource(workspaces), tiny, "WorkspaceInitialized", "False", "")
	gone(t, operator.Resource(workspaces), tiny)
}

// How much a workspace stores is for those who may read it there: to be let in is not enough, and neither is a permission elsewhere.
func TestUsage_NeedsPermission(t *testing.T) {
	server := start(t)
	hers, other := workspace(t, server), workspace(t, server)
	admit(t, server, hers, alice)
	allow(t, server, hers, enter, rule("", []string{"configmaps"}, []string{"list"}))
	eventually(t, "bob may list", func(ctx context.Context) (bool, error) {
		_, err := userClient(t, server, bob, hers).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	code := func(user, path string) int {
		return annex.Status(t, server.As(token(user), path), http.MethodGet, "/usage")
	}
	for _, tc := range []struct {
		user, path string
		want       int
	}{
		{alice, hers, http.StatusOK},
		{alice, other, http.StatusForbidden},
		{alice, "root:nowhere", http.StatusForbidden},
		{bob, hers, http.StatusForbidden},
	} {
		if got := code(tc.user, tc.path); got != tc.want {
			t.Errorf("%s in %s: %d, want %d", tc.user, tc.path, got, tc.want)
		}
	}
	typed, _ := annex.Clients(t, server.As(token(alice), hers))
	usage := func() workspacelimits.Amount {
		t.Helper()
		data, err := typed.Discovery().RESTClient().Get().AbsPath("/usage").Do(t.Context()).Raw()
		if err != nil {
			t.Fatal(err)
		}
		amount, err := workspacelimits.Read(string(data))
		if err != nil {
			t.Fatal(err)
		}
		return amount
	}
	before := usage()
	const size = 5000
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("a", size), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := usage(); after.Objects != before.Objects+1 || after.Bytes < before.Bytes+size || after.Bytes > before.Bytes+size+1000 {
		t.Errorf("%v before, and %v after an object of %d bytes was created", before, after, size)
	}
}
