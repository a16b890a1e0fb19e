package resilience

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

var apis = schema.GroupVersion{Group: "apis.kcp.io", Version: "v1alpha2"}

// shared is what a provider and its consumer had when an earlier release served them.
type shared struct {
	provider, consumer dynamic.Interface
	atProvider         *rest.Config
	widgets            dynamic.ResourceInterface
}

func newShared(t *testing.T, server *annex.Server) *shared {
	t.Helper()
	s := &shared{}
	_, s.provider = annex.Clients(t, server.Workspace("root:provider"))
	_, s.consumer = annex.Clients(t, server.Workspace("root:consumer"))
	s.atProvider = server.Workspace("root:provider")
	s.widgets = s.consumer.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace("default")
	return s
}

// column returns the cells of a column of what kubectl would show of a resource, by name.
func column(t *testing.T, config *rest.Config, path, name string) (map[string]string, error) {
	t.Helper()
	typed, _ := annex.Clients(t, config)
	data, err := typed.CoreV1().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(t.Context())
	if err != nil {
		return nil, err
	}
	var table metav1.Table
	if err := json.Unmarshal(data, &table); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(table.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("%s has no column %s", path, name)
	}
	cells := map[string]string{}
	for _, row := range table.Rows {
		cells[fmt.Sprint(row.Cells[0])] = fmt.Sprint(row.Cells[at])
	}
	return cells, nil
}

// What an earlier release has stored, without the fields that are new since, is read, shown and completed.
func TestUpgrade_OldObjectsAreCompleted(t *testing.T) {
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL())
	server.NewWorkspace("root", "provider", "")
	server.NewWorkspace("root", "consumer", "")
	s := newShared(t, server)
	for _, made := range []struct {
		in       dynamic.Interface
		resource schema.GroupVersionResource
		manifest string
	}{
		{s.provider, schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}, `{apiVersion: apis.kcp.io/v1alpha1, kind: APIResourceSchema, metadata: {name: v1.widgets.example.com}, spec: {group: example.com, scope: Namespaced,
			names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}, versions: [{name: v1, served: true, storage: true, schema: {type: object}}]}}`},
		{s.provider, apis.WithResource("apiexports"), `{apiVersion: apis.kcp.io/v1alpha2, kind: APIExport, metadata: {name: widgets}, spec: {resources: [{group: example.com, name: widgets, schema: v1.widgets.example.com, storage: {crd: {}}}]}}`},
		{s.provider, schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspacetypes"}, `{apiVersion: tenancy.kcp.io/v1alpha1, kind: WorkspaceType, metadata: {name: team}, spec: {initializer: true}}`},
		{s.consumer, apis.WithResource("apibindings"), `{apiVersion: apis.kcp.io/v1alpha2, kind: APIBinding, metadata: {name: widgets}, spec: {reference: {export: {path: "root:provider", name: widgets}}}}`},
	} {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(made.manifest), &obj.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := made.in.Resource(made.resource).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	widget := func(name string) error {
		obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name}}}
		_, err := s.widgets.Create(t.Context(), obj, metav1.CreateOptions{})
		return err
	}
	annex.Eventually(t, func(context.Context) error { return widget("before") })
	typed, _ := annex.Clients(t, server.Workspace("root:consumer"))
	if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "admin"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "whole", Annotations: map[string]string{"experimental.quota.kcp.io/cluster-scoped": "true"}},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/widgets.example.com": resource.MustParse("2")}},
	}
	if _, err := typed.CoreV1().ResourceQuotas("admin").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	complete := func() error {
		for _, wanted := range []struct {
			config       *rest.Config
			path, column string
			name, cell   string
		}{
			{s.atProvider, "/apis/apis.kcp.io/v1alpha2/apiexports", "Consumers", "widgets", "1"},
			{s.atProvider, "/apis/apis.kcp.io/v1alpha2/apiexports", "Identity", "widgets", "True"},
			{s.atProvider, "/apis/tenancy.kcp.io/v1alpha1/workspacetypes", "Ready", "team", "True"},
			{server.Workspace("root:consumer"), "/apis/apis.kcp.io/v1alpha2/apibindings", "Ready", "widgets", "True"},
		} {
			cells, err := column(t, wanted.config, wanted.path, wanted.column)
			if err != nil {
				return err
			}
			if cells[wanted.name] != wanted.cell {
				return fmt.Errorf("column %s of %s shows %v, want %s", wanted.column, wanted.path, cells, wanted.cell)
			}
		}
		return nil
	}
	annex.Eventually(t, func(context.Context) error { return complete() })

	server.Stop()
	changed := map[string]int{}
	etcd.Rewrite(func(key string, value []byte) []byte {
		var obj map[string]any
		parts := strings.Split(key, "/") // /annex/<group>/<resource>/...
		if len(parts) < 5 || json.Unmarshal(value, &obj) != nil {
			return nil
		}
		of := parts[3]
		status, _ := obj["status"].(map[string]any)
		switch of {
		case "apiexports": // no status.consumers
			delete(status, "consumers")
		case "workspacetypes", "apiexportendpointslices", "apibindings": // conditions that came later
			delete(status, "conditions")
			delete(status, "virtualWorkspaces")
		default:
			return nil
		}
		changed[of]++
		old, err := json.Marshal(obj)
		if err != nil {
			t.Error(err)
		}
		return old
	})
	if len(changed) != 4 {
		t.Fatalf("changed: %v", changed)
	}
	// What quotas of a whole workspace limit was not stored.
	etcd.Remove("/annex/annex.dev/quotas/")

	server.Start()
	s = newShared(t, server)
	if _, err := s.widgets.Get(t.Context(), "before", metav1.GetOptions{}); err != nil {
		t.Errorf("what a consumer had: %v", err)
	}
	annex.Eventually(t, func(context.Context) error { return complete() })
	if err := widget("after"); err != nil {
		t.Errorf("what a consumer adds: %v", err)
	}
	annex.Eventually(t, func(context.Context) error {
		err := widget("too-many")
		if err == nil {
			_ = s.widgets.Delete(t.Context(), "too-many", metav1.DeleteOptions{})
			return fmt.Errorf("the quota is not heeded")
		}
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: whole") {
			return err
		}
		return nil
	})
}
