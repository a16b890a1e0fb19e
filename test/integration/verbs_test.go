package integration

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

func configMap(name string, pairs ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}, Data: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		cm.Data[pairs[i]] = pairs[i+1]
	}
	return cm
}

// gadgetClient installs the gadget definition in a new workspace.
func gadgetClient(t *testing.T, s *annex.Server) (path string, config *rest.Config) {
	t.Helper()
	path = workspace(t, s)
	config = s.Workspace(path)
	apply(t, config, gadgetCRD)
	_, client := annex.Clients(t, config)
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(gadgets).List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	return path, config
}

func TestVerbs_InEachEncoding(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	for _, mediaType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf, runtime.ContentTypeYAML} {
		t.Run(strings.TrimPrefix(mediaType, "application/"), func(t *testing.T) {
			config := s.Workspace(path)
			config.ContentType, config.AcceptContentTypes = mediaType, mediaType
			typed, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			namespace := uniqueName("ns")
			if _, err := typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			client := typed.CoreV1().ConfigMaps(namespace)
			for _, name := range []string{"a", "b", "c"} {
				if _, err := client.Create(ctx, configMap(name, "key", "one"), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Create(ctx, configMap("a"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("creating it again: %v", err)
			}
			got, err := client.Get(ctx, "a", metav1.GetOptions{})
			if err != nil || got.Data["key"] != "one" || got.UID == "" {
				t.Fatalf("got %v, %v", got, err)
			}
			stale := got.DeepCopy()
			got.Data["key"] = "two"
			updated, err := client.Update(ctx, got, metav1.UpdateOptions{})
			if err != nil || updated.Data["key"] != "two" || updated.ResourceVersion == stale.ResourceVersion {
				t.Errorf("updated %v, %v", updated, err)
			}
			if _, err := client.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Errorf("updating what is stale: %v", err)
			}
			again, err := client.Update(ctx, updated.DeepCopy(), metav1.UpdateOptions{})
			if err != nil || again.ResourceVersion != updated.ResourceVersion {
				t.Errorf("an update that changes nothing writes: %v, %v", again.ResourceVersion, err)
			}
			list, err := client.List(ctx, metav1.ListOptions{LabelSelector: "name in (a,b)"})
			if err != nil || len(list.Items) != 2 {
				t.Errorf("listed %v, %v", list, err)
			}
			if err := client.Delete(ctx, "a", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("another")}); !apierrors.IsConflict(err) {
				t.Errorf("deleting with another UID: %v", err)
			}
			if err := client.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			if _, err := client.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("getting what is deleted: %v", err)
			}
			if err := client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "name=b"}); err != nil {
				t.Error(err)
			}
			list, err = client.List(ctx, metav1.ListOptions{LabelSelector: "name"})
			if err != nil || len(list.Items) != 1 || list.Items[0].Name != "c" {
				t.Errorf("left are %v, %v", list, err)
			}
		})
	}
}

func TestVerbs_Patches(t *testing.T) {
	s := start(t)
	path, config := gadgetClient(t, s)
	typed, untyped := annex.Clients(t, config)
	ctx := t.Context()
	client := typed.CoreV1().ServiceAccounts("default")
	if _, err := client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Secrets: []corev1.ObjectReference{{Name: "x"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.Patch(ctx, "a", types.JSONPatchType, []byte(`[{"op":"add","path":"/metadata/labels","value":{"json":"1"}}]`), metav1.PatchOptions{})
	if err != nil || got.Labels["json"] != "1" {
		t.Errorf("JSON patch: %v, %v", got.Labels, err)
	}
	if _, err := client.Patch(ctx, "a", types.JSONPatchType, []byte(`[{"op":"test","path":"/metadata/labels/json","value":"2"}]`), metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("JSON patch whose test fails: %v", err)
	}
	got, err = client.Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"json":null,"merge":"1"}}}`), metav1.PatchOptions{})
	if err != nil || got.Labels["merge"] != "1" || len(got.Labels) != 1 {
		t.Errorf("merge patch: %v, %v", got.Labels, err)
	}
	// A strategic patch merges lists by key where a merge patch replaces them.
	got, err = client.Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{"secrets":[{"name":"y"}]}`), metav1.PatchOptions{})
	if err != nil || len(got.Secrets) != 2 {
		t.Errorf("strategic patch: %v, %v", got.Secrets, err)
	}
	if _, err := client.Patch(ctx, "none", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("patching what is not there: %v", err)
	}
	// A custom resource has no strategic patch.
	gadget := parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: a, namespace: default}\nspec: {parts: [{name: x, size: 1}]}")
	custom := untyped.Resource(gadgets).Namespace("default")
	if _, err := custom.Create(ctx, gadget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := custom.Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{"spec":{"wheels":1}}`), metav1.PatchOptions{}); !apierrors.IsUnsupportedMediaType(err) {
		t.Errorf("strategic patch of a custom resource: %v", err)
	}
	if a := asAdmin(t, s).send(request{method: http.MethodPatch, path: "/clusters/" + path + "/api/v1/namespaces/default/serviceaccounts/a", body: "{}", headers: http.Header{"Content-Type": {"text/plain"}}}); a.code != http.StatusUnsupportedMediaType {
		t.Errorf("patch of another type: %d", a.code)
	}
}

func TestVerbs_ServerSideApply(t *testing.T) {
	s := start(t)
	_, config := gadgetClient(t, s)
	typed, untyped := annex.Clients(t, config)
	ctx := t.Context()
	client := typed.CoreV1().ConfigMaps("default")
	one := applycorev1.ConfigMap("a", "default").WithData(map[string]string{"one": "1", "both": "1"})
	if _, err := client.Apply(ctx, one, metav1.ApplyOptions{FieldManager: "first"}); err != nil {
		t.Fatal(err)
	}
	two := applycorev1.ConfigMap("a", "default").WithData(map[string]string{"two": "2", "both": "2"})
	_, err := client.Apply(ctx, two, metav1.ApplyOptions{FieldManager: "second"})
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "first": .data.both`) {
		t.Errorf("applying over another manager: %v", err)
	}
	got, err := client.Apply(ctx, two, metav1.ApplyOptions{FieldManager: "second", Force: true})
	if err != nil || got.Data["both"] != "2" || got.Data["one"] != "1" || len(got.ManagedFields) != 2 {
		t.Errorf("forced: %v, %v", got, err)
	}
	got, err = client.Apply(ctx, applycorev1.ConfigMap("a", "default"), metav1.ApplyOptions{FieldManager: "second"})
	if err != nil || len(got.Data) != 1 {
		t.Errorf("a manager that gives up its fields leaves %v, %v", got.Data, err)
	}

	// Lists with keys merge in custom resources as the schema says.
	custom := untyped.Resource(gadgets).Namespace("default")
	part := func(name string) *unstructured.Unstructured {
		return parse(t, fmt.Sprintf("apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: a, namespace: default}\nspec: {parts: [{name: %s, size: 1}]}", name))
	}
	for _, name := range []string{"left", "right"} {
		if _, err := custom.Apply(ctx, "a", part(name), metav1.ApplyOptions{FieldManager: name}); err != nil {
			t.Fatal(err)
		}
	}
	gadget, err := custom.Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if parts, _, _ := unstructured.NestedSlice(gadget.Object, "spec", "parts"); len(parts) != 2 {
		t.Errorf("two managers own the parts %v", parts)
	}
	// The main resource and its status are apart.
	status := gadget.DeepCopy()
	_ = unstructured.SetNestedField(status.Object, int64(3), "status", "wheels")
	_ = unstructured.SetNestedField(status.Object, int64(1), "spec", "wheels")
	after, err := custom.UpdateStatus(ctx, status, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inSpec, _, _ := unstructured.NestedInt64(after.Object, "spec", "wheels")
	inStatus, _, _ := unstructured.NestedInt64(after.Object, "status", "wheels")
	if inSpec != 4 || inStatus != 3 || after.GetGeneration() != gadget.GetGeneration() {
		t.Errorf("status update: spec %d, status %d, generation %d", inSpec, inStatus, after.GetGeneration())
	}
	scale, err := custom.Get(ctx, "a", metav1.GetOptions{}, "scale")
	if err != nil {
		t.Fatal(err)
	}
	if replicas, _, _ := unstructured.NestedInt64(scale.Object, "spec", "replicas"); scale.GetKind() != "Scale" || replicas != 4 {
		t.Errorf("scale is %v", scale)
	}
}

func TestVerbs_DryRunAndFieldValidation(t *testing.T) {
	s := start(t)
	path, config := gadgetClient(t, s)
	typed, _ := annex.Clients(t, config)
	ctx := t.Context()
	client := typed.CoreV1().ConfigMaps("default")
	dry := []string{metav1.DryRunAll}
	if _, err := client.Create(ctx, configMap("dry"), metav1.CreateOptions{DryRun: dry}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(ctx, "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run stored: %v", err)
	}
	kept, err := client.Create(ctx, configMap("kept", "a", "1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := client.Patch(ctx, "kept", types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{DryRun: dry}); err != nil || got.Data["a"] != "2" {
		t.Errorf("dry patch: %v, %v", got, err)
	}
	if err := client.Delete(ctx, "kept", metav1.DeleteOptions{DryRun: dry}); err != nil {
		t.Error(err)
	}
	if err := client.DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	if got, err := client.Get(ctx, "kept", metav1.GetOptions{}); err != nil || got.ResourceVersion != kept.ResourceVersion {
		t.Errorf("after dry runs: %v, %v", got, err)
	}
	// A workspace made in a dry run leaves nothing behind.
	_, untyped := annex.Clients(t, config)
	child := parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: dry}\nspec: {type: {name: universal, path: root}}")
	if _, err := untyped.Resource(workspaces).Create(ctx, child, metav1.CreateOptions{DryRun: dry}); err != nil {
		t.Error(err)
	}
	if _, err := untyped.Resource(workspaces).Get(ctx, "dry", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the workspace of a dry run: %v", err)
	}

	admin := asAdmin(t, s)
	for name, at := range map[string]struct{ path, body, field string }{
		"built-in": {"/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME"},"nothing":1,"data":{"a":"1","a":"2"}}`, "nothing"},
		"custom":   {"/apis/example.org/v1/namespaces/default/gadgets", `{"apiVersion":"example.org/v1","kind":"Gadget","metadata":{"name":"NAME"},"spec":{"nothing":1,"text":"a","text":"b"}}`, "spec.nothing"},
		"ours":     {"/apis/apis.kcp.io/v1alpha2/apiexports", `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIExport","metadata":{"name":"NAME","name":"NAME"},"spec":{"nothing":1}}`, "spec.nothing"},
	} {
		for _, validation := range []string{"Strict", "Warn", "Ignore"} {
			object := strings.ReplaceAll(at.body, "NAME", strings.ToLower(validation)+"-"+name)
			a := admin.send(request{method: http.MethodPost, path: "/clusters/" + path + at.path + "?fieldValidation=" + validation, body: object})
			warnings := strings.Join(a.header.Values("Warning"), "\n")
			switch validation {
			case "Strict":
				want{http.StatusBadRequest, metav1.StatusReasonBadRequest, nil, `unknown field "` + at.field + `"`}.check(t, a)
				if !strings.Contains(a.status().Message, "duplicate field") {
					t.Errorf("%s: %s names no duplicate field", name, a.status().Message)
				}
			case "Warn":
				if a.code != http.StatusCreated || !strings.Contains(warnings, at.field) || !strings.Contains(warnings, "duplicate") {
					t.Errorf("%s: %d with warnings %s", name, a.code, warnings)
				}
			default:
				if a.code != http.StatusCreated || warnings != "" {
					t.Errorf("%s: %d with warnings %s", name, a.code, warnings)
				}
			}
		}
	}
	for name, c := range map[string]struct{ spec, field string }{
		"maximum": {`{"wheels":9}`, "spec.wheels"}, "CEL": {`{"text":"forbidden"}`, "spec"}, "type": {`{"wheels":"x"}`, "spec.wheels"}, "keys": {`{"parts":[{"name":"a"},{"name":"a"}]}`, "spec.parts[1]"},
	} {
		a := admin.send(request{method: http.MethodPost, path: "/clusters/" + path + "/apis/example.org/v1/namespaces/default/gadgets",
			body: `{"apiVersion":"example.org/v1","kind":"Gadget","metadata":{"name":"bad"},"spec":` + c.spec + `}`})
		t.Log(name)
		want{http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, []string{c.field}, ""}.check(t, a)
	}
}

func TestVerbs_FinalizersAndGracefulDeletion(t *testing.T) {
	s := start(t)
	typed := clientFor(t, s)
	ctx := t.Context()
	client := typed.CoreV1().ConfigMaps("default")
	held := configMap("held")
	held.Finalizers = []string{"example.com/hold"}
	if _, err := client.Create(ctx, held, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(ctx, "held", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(ctx, "held", metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp == nil {
		t.Fatalf("held: %v, %v", got, err)
	}
	if _, err := client.Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(ctx, "held", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %v", err)
	}
	// A namespace takes its contents with it, and takes no new ones meanwhile.
	if _, err := typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "going"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	held.ResourceVersion = ""
	if _, err := typed.CoreV1().ConfigMaps("going").Create(ctx, held, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.RbacV1().Roles("going").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := typed.CoreV1().Namespaces().Delete(ctx, "going", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.CoreV1().ConfigMaps("going").Create(ctx, configMap("new"), metav1.CreateOptions{}); !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Errorf("creating in a namespace that goes: %v", err)
	}
	eventually(t, "the namespace says what holds it", func(ctx context.Context) (bool, error) {
		ns, err := typed.CoreV1().Namespaces().Get(ctx, "going", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(ns.Status.Conditions, func(c corev1.NamespaceCondition) bool {
			return c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue
		}), nil
	})
	if _, err := typed.CoreV1().ConfigMaps("going").Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().Namespaces().Get(ctx, "going", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}
