package resilience

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	workspaces      = tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces")
	logicalClusters = corev1alpha1.SchemeGroupVersion.WithResource("logicalclusters")
	crds            = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	gadgets         = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "gadgets"}
)

// filling is the content of a ConfigMap; one that lacks a part of it was half written.
var filling = strings.Repeat("0123456789", 400)

func configMap(name, owner string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"owner": owner, "filling": filling}}
}

func newWorkspace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": tenancyv1alpha1.SchemeGroupVersion.String(), "kind": "Workspace", "metadata": map[string]any{"name": name},
	}}
}

// complete returns what a Ready workspace lacks.
func complete(ctx context.Context, client kubernetes.Interface) error {
	for _, namespace := range []string{"default", "kube-system"} {
		if _, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return err
		}
	}
	_, err := client.RbacV1().ClusterRoleBindings().Get(ctx, "workspace-admin", metav1.GetOptions{})
	return err
}

func TestKill_DuringParallelCreatesKeepsWhatWasAcknowledged(t *testing.T) {
	const writers = 100
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "busy", "")
	_, root := annex.Clients(t, server.Workspace("root"))
	busy, _ := annex.Clients(t, server.Workspace(path))

	// Half of the writers make workspaces, half ConfigMaps, each one after the other until the server is gone.
	var mu sync.Mutex
	acknowledged := map[string][]string{}
	var count atomic.Int64
	enough := make(chan struct{})
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			kind, create := "workspace", func(name string) error {
				_, err := root.Resource(workspaces).Create(t.Context(), newWorkspace(name), metav1.CreateOptions{})
				return err
			}
			if writer%2 == 0 {
				kind, create = "configmap", func(name string) error {
					_, err := busy.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(name, name), metav1.CreateOptions{})
					return err
				}
			}
			for i := 0; ; i++ {
				name := fmt.Sprintf("made-%d-%d", writer, i)
				if err := create(name); err != nil {
					return
				}
				mu.Lock()
				acknowledged[kind] = append(acknowledged[kind], name)
				mu.Unlock()
				if count.Add(1) == 2*writers {
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(2 * time.Minute):
		t.Fatal("the writers are too slow")
	}
	server.Kill()
	all.Wait()
	if len(acknowledged["workspace"]) == 0 || len(acknowledged["configmap"]) == 0 {
		t.Fatalf("acknowledged were %d workspaces, %d ConfigMaps", len(acknowledged["workspace"]), len(acknowledged["configmap"]))
	}
	server.Start()

	_, root = annex.Clients(t, server.Workspace("root"))
	busy, _ = annex.Clients(t, server.Workspace(path))
	configMaps, err := busy.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, item := range configMaps.Items {
		found[item.Name] = true
		if strings.HasPrefix(item.Name, "made-") && (item.Data["owner"] != item.Name || item.Data["filling"] != filling) {
			t.Errorf("ConfigMap %s is half there", item.Name)
		}
	}
	for _, name := range acknowledged["configmap"] {
		if !found[name] {
			t.Errorf("ConfigMap %s was acknowledged and is lost", name)
		}
	}

	list, err := root.Resource(workspaces).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := map[string]string{}
	found = map[string]bool{}
	for _, item := range list.Items {
		found[item.GetName()] = true
		cluster, err := annex.WaitWorkspace(t.Context(), root, item.GetName())
		if err != nil {
			t.Errorf("a workspace does not recover: %v", err)
			continue
		}
		owned[cluster] = item.GetName()
		client, _ := annex.Clients(t, server.Workspace("root:"+item.GetName()))
		annex.Eventually(t, func(ctx context.Context) error { return complete(ctx, client) })
	}
	for _, name := range acknowledged["workspace"] {
		if !found[name] {
			t.Errorf("workspace %s was acknowledged and is lost", name)
		}
	}
	// No logical cluster without workspace.
	masters := server.Config(annex.ContextShardBase)
	masters.Host += "/clusters/*"
	_, everywhere := annex.Clients(t, masters)
	clusters, err := everywhere.Resource(logicalClusters).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range clusters.Items {
		name := item.GetAnnotations()["kcp.io/cluster"]
		if owned[name] == "" && name != "root" && !strings.HasPrefix(name, "system:") {
			t.Errorf("logical cluster %s belongs to no workspace", name)
		}
	}
	t.Logf("killed after %d workspaces and %d ConfigMaps; %d workspaces recovered", len(acknowledged["workspace"]), len(acknowledged["configmap"]), len(owned))
}

// gadgetCRD returns the definition of gadgets.
func gadgetCRD() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "gadgets.example.org"},
		"spec": map[string]any{
			"group": "example.org", "scope": "Namespaced",
			"names": map[string]any{"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
		},
	}}
}

func newGadget(name, owner string, finalizers ...string) *unstructured.Unstructured {
	gadget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": map[string]any{"name": name}, "spec": map[string]any{"owner": owner},
	}}
	gadget.SetFinalizers(finalizers)
	return gadget
}

// createGadgets makes the CRD and an object of it.
func createGadgets(t *testing.T, client dynamic.Interface, gadget *unstructured.Unstructured) {
	t.Helper()
	if _, err := client.Resource(crds).Create(t.Context(), gadgetCRD(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := client.Resource(gadgets).Namespace("default").Create(ctx, gadget, metav1.CreateOptions{})
		return err
	})
}

// each runs do for the numbers below n, sixteen at a time.
func each(n int, do func(i int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

func TestKill_EqualNamesInManyWorkspacesAreAllServed(t *testing.T) {
	const count = 200
	server := annex.Start(t)
	_, root := annex.Clients(t, server.Workspace("root"))
	clusters := make([]string, count)
	each(count, func(i int) {
		cluster, err := annex.NewWorkspace(t.Context(), root, fmt.Sprintf("team-%d", i), "universal")
		if err != nil {
			t.Error(err)
			return
		}
		clusters[i] = cluster
		typed, untyped := annex.Clients(t, server.Workspace(cluster))
		if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), configMap("same", cluster), metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "same"}, StringData: map[string]string{"owner": cluster}}
		if _, err := typed.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := untyped.Resource(crds).Create(t.Context(), gadgetCRD(), metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, cluster := range clusters {
		_, untyped := annex.Clients(t, server.Workspace(cluster))
		annex.Eventually(t, func(ctx context.Context) error {
			_, err := untyped.Resource(gadgets).Namespace("default").Create(ctx, newGadget("same", cluster), metav1.CreateOptions{})
			return err
		})
	}
	server.Kill()
	server.Start()

	each(count, func(i int) {
		cluster, path := clusters[i], fmt.Sprintf("root:team-%d", i)
		typed, untyped := annex.Clients(t, server.Workspace(path))
		if err := complete(t.Context(), typed); err != nil {
			t.Errorf("%s is not complete: %v", path, err)
		}
		got, err := typed.CoreV1().ConfigMaps("default").Get(t.Context(), "same", metav1.GetOptions{})
		if err != nil || got.Data["owner"] != cluster {
			t.Errorf("ConfigMap of %s belongs to %q, %v", path, got.Data["owner"], err)
		}
		// From the watch cache, where a stock reflector would have kept one of all.
		list, err := typed.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil || len(list.Items) != 2 {
			t.Errorf("%s lists %d ConfigMaps, %v", path, len(list.Items), err)
		}
		secrets, err := typed.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(secrets.Items) != 1 || string(secrets.Items[0].Data["owner"]) != cluster {
			t.Errorf("%s lists the Secrets %v, %v", path, secrets.Items, err)
		}
		custom, err := untyped.Resource(gadgets).List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil || len(custom.Items) != 1 {
			t.Errorf("%s lists %v, %v", path, custom, err)
			return
		}
		if owner, _, _ := unstructured.NestedString(custom.Items[0].Object, "spec", "owner"); owner != cluster {
			t.Errorf("the Gadget of %s belongs to %q", path, owner)
		}
	})
}
