package integration

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// The body of a request comes late: after what the object would belong to is gone, or is another one. Storage must refuse it then,
// whatever was decided when the request came.

const (
	configMapsPath = "/api/v1/namespaces/default/configmaps"
	gadgetsPath    = "/apis/example.org/v1/namespaces/default/gadgets"
	widgetsPath    = "/apis/example.com/v1/namespaces/default/widgets"
)

// late is a create, or a server-side apply that creates, whose body is withheld.
func late(t *testing.T, config *rest.Config, path, kind, name string) *annex.Late {
	t.Helper()
	segments := strings.Split(path, "/") // "", api, v1, ... or "", apis, group, version, ...
	apiVersion, namespace := segments[2], ""
	if segments[1] == "apis" {
		apiVersion += "/" + segments[3]
	}
	if at := slices.Index(segments, "namespaces"); at >= 0 && at+2 < len(segments) {
		namespace = segments[at+1]
	}
	body := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q}}`, apiVersion, kind, name, namespace)
	method, contentType := http.MethodPost, "application/json"
	if strings.HasPrefix(name, "applied") {
		method, contentType, path = http.MethodPatch, string(types.ApplyYAMLPatchType), path+"/"+name+"?fieldManager=late&force=true"
	}
	l, err := annex.Withhold(t.Context(), config, method, path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Waits() {
		code, status, err := l.Send()
		t.Fatalf("%s %s is answered before its body comes: %d %s %v", method, path, code, status.Message, err)
	}
	return l
}

// refused sends the body of each request and wants the same answer for all.
func refused(t *testing.T, requests map[string]*annex.Late, code int, reason metav1.StatusReason, says string) {
	t.Helper()
	for name, l := range requests {
		got, status, err := l.Send()
		if err != nil || got != code || status.Reason != reason || !strings.Contains(status.Message, says) {
			t.Errorf("%s: got %d %s %q, %v; want %d %s %q", name, got, status.Reason, status.Message, err, code, reason, says)
		}
	}
}

// gone waits until a deleted object is gone.
func gone(t *testing.T, client dynamic.ResourceInterface, name string) {
	t.Helper()
	if err := client.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, name+" is gone", func(ctx context.Context) (bool, error) {
		_, err := client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

func TestLateBody_WorkspaceIsGone(t *testing.T) {
	s := startOne(t, roomy)
	name := uniqueName("ws")
	path, _ := newWorkspace(t, s, "root", name)
	config := s.Workspace(path)
	apply(t, config, gadgetCRD)
	_, client := annex.Clients(t, config)
	waitCondition(t, client.Resource(crds), "gadgets.example.org", "Established", "True", "")
	requests := map[string]*annex.Late{
		"a Namespace":   late(t, config, "/api/v1/namespaces", "Namespace", "late"),
		"a ClusterRole": late(t, config, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole", "late"),
	}
	// Admission looks into these, and says it first.
	child := map[string]*annex.Late{"a Workspace": late(t, config, "/apis/tenancy.kcp.io/v1alpha1/workspaces", "Workspace", "late")}
	inNamespaces := map[string]*annex.Late{
		"a ConfigMap":                late(t, config, configMapsPath, "ConfigMap", "late"),
		"an applied ConfigMap":       late(t, config, configMapsPath, "ConfigMap", "applied"),
		"a custom resource":          late(t, config, gadgetsPath, "Gadget", "late"),
		"an applied custom resource": late(t, config, gadgetsPath, "Gadget", "applied"),
	}
	_, parent := annex.Clients(t, s.Workspace("root"))
	gone(t, parent.Resource(workspaces), name)
	refused(t, requests, http.StatusForbidden, metav1.StatusReasonForbidden, "access denied")
	refused(t, child, http.StatusForbidden, metav1.StatusReasonForbidden, "without a LogicalCluster")
	refused(t, inNamespaces, http.StatusNotFound, metav1.StatusReasonNotFound, `namespaces "default" not found`)
	s.CheckData(t)
}

func TestLateBody_WorkspaceIsBeingDeleted(t *testing.T) {
	s := startOne(t, roomy)
	name := uniqueName("ws")
	path, _ := newWorkspace(t, s, "root", name)
	config := s.Workspace(path)
	apply(t, config, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: held, finalizers: [example.com/hold]}")
	requests := map[string]*annex.Late{
		"a ClusterRole": late(t, config, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole", "late"),
		"a Namespace":   late(t, config, "/api/v1/namespaces", "Namespace", "late"),
	}
	_, parent := annex.Clients(t, s.Workspace("root"))
	if err := parent.Resource(workspaces).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, client := annex.Clients(t, config)
	roles := client.Resource(schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"})
	eventually(t, "the content is being deleted", func(ctx context.Context) (bool, error) {
		role, err := roles.Get(ctx, "held", metav1.GetOptions{})
		return err == nil && role.GetDeletionTimestamp() != nil, err
	})
	refused(t, requests, http.StatusForbidden, metav1.StatusReasonForbidden, "logical cluster that is being deleted")
	if _, err := roles.Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := parent.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	s.CheckData(t)
}

func TestLateBody_DefinitionIsGoneOrAnother(t *testing.T) {
	s := startOne(t, roomy)
	config := s.Workspace(workspace(t, s))
	_, client := annex.Clients(t, config)
	elsewhere := strings.Replace(gadgetCRD, "scope: Namespaced", "scope: Cluster", 1)
	for name, made := range map[string]string{"gone": "", "made anew": gadgetCRD, "made anew with another scope": elsewhere} {
		t.Run(name, func(t *testing.T) {
			apply(t, config, gadgetCRD)
			waitCondition(t, client.Resource(crds), "gadgets.example.org", "Established", "True", "")
			requests := map[string]*annex.Late{
				"created": late(t, config, gadgetsPath, "Gadget", "late"),
				"applied": late(t, config, gadgetsPath, "Gadget", "applied"),
			}
			gone(t, client.Resource(crds), "gadgets.example.org")
			if made != "" {
				apply(t, config, made)
				waitCondition(t, client.Resource(crds), "gadgets.example.org", "Established", "True", "")
			}
			refused(t, requests, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
			s.CheckData(t)
			if made != "" {
				gone(t, client.Resource(crds), "gadgets.example.org")
			}
		})
	}
}

func TestLateBody_BindingIsGone(t *testing.T) {
	s := startOne(t, roomy)
	producer, producerCluster := newWorkspace(t, s, "root", uniqueName("ws"))
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	consumer, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	config := s.Workspace(consumer)
	_, client := annex.Clients(t, config)
	endpoint := s.Config(annex.ContextShardBase)
	endpoint.Host = s.URL() + "/services/apiexport/" + producerCluster + "/widgets/clusters/" + cluster
	for _, again := range []bool{false, true} {
		apply(t, config, binding("widgets", producer, "widgets"))
		waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
		requests := map[string]*annex.Late{
			"by the consumer":         late(t, config, widgetsPath, "Widget", "late"),
			"applied by the consumer": late(t, config, widgetsPath, "Widget", "applied"),
			"by the provider":         late(t, endpoint, widgetsPath, "Widget", "provided"),
		}
		gone(t, client.Resource(bindings), "widgets")
		if again {
			apply(t, config, binding("widgets", producer, "widgets"))
			waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
		}
		refused(t, requests, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		s.CheckData(t)
	}
}

func TestLateBody_NamespaceIsGone(t *testing.T) {
	s := startOne(t, roomy)
	config := s.Workspace(workspace(t, s))
	_, client := annex.Clients(t, config)
	namespaces := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	configMaps := client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("a")
	requests := func() map[string]*annex.Late {
		apply(t, config, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")
		return map[string]*annex.Late{
			"created": late(t, config, "/api/v1/namespaces/a/configmaps", "ConfigMap", "late"),
			"applied": late(t, config, "/api/v1/namespaces/a/configmaps", "ConfigMap", "applied"),
		}
	}
	first := requests()
	gone(t, namespaces, "a")
	refused(t, first, http.StatusNotFound, metav1.StatusReasonNotFound, `namespaces "a" not found`)

	second := requests()
	apply(t, config, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, namespace: a, finalizers: [example.com/hold]}")
	if err := namespaces.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	refused(t, second, http.StatusForbidden, metav1.StatusReasonForbidden, "unable to create new content in namespace a because it is being terminated")
	eventually(t, "what holds the namespace is being deleted", func(ctx context.Context) (bool, error) {
		held, err := configMaps.Get(ctx, "held", metav1.GetOptions{})
		return err == nil && held.GetDeletionTimestamp() != nil, err
	})
	if _, err := configMaps.Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, "a", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})

	// In a namespace made anew there is nothing wrong with it, nor while somebody labels the namespace.
	third := requests()
	gone(t, namespaces, "a")
	apply(t, config, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")
	if _, err := namespaces.Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, l := range third {
		if code, status, err := l.Send(); err != nil || code != http.StatusCreated {
			t.Errorf("%s: got %d %s, %v", name, code, status.Message, err)
		}
	}
	s.CheckData(t)
}
