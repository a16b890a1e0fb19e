package sync

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	databases  = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "databases"}
	workspaces = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
	secrets    = corev1.SchemeGroupVersion.WithResource("secrets")
)

const databaseDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: databases, singular: database, kind: Database, listKind: DatabaseList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {secretName: {type: string}, passwordName: {type: string}, size: {type: integer, maximum: 10}}}
          status: {type: object, properties: {ready: {type: boolean}}}
`

// Databases of all consumers are in one namespace of the host. The agent reaches Annex at its own endpoint.
const databaseConfiguration = `
apiVersion: annex.dev/v1alpha1
kind: SyncConfiguration
export: databases
workspace: {kubeconfig: %s}
service: {kubeconfig: %s}
naming: {layout: SingleNamespace, namespace: databases}
resources:
- group: example.com
  resource: databases
  filter: {labels: {matchLabels: {served: "yes"}}}
  related:
  - {id: password, resource: secrets, origin: Workspace, reference: spec.passwordName}
  - {id: credentials, resource: secrets, origin: Service, reference: spec.secretName}
`

func database(name, secret, password string) string {
	return fmt.Sprintf(`
apiVersion: example.com/v1
kind: Database
metadata:
  name: %s
  namespace: default
  labels: {served: "yes", sync.annex.dev/agent: certificates}
  annotations: {sync.annex.dev/cluster: root, sync.annex.dev/workspace-name: other}
spec: {secretName: %q, passwordName: %q}
`, name, secret, password)
}

// counterpart waits for that of a Database in the namespace default of a consumer.
func (w *world) counterpart(c *at, name string) (found *unstructured.Unstructured) {
	w.t.Helper()
	annex.Eventually(w.t, func(ctx context.Context) error {
		list, err := w.host.Resource(databases).Namespace("databases").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			at := list.Items[i].GetAnnotations()
			if at["sync.annex.dev/cluster"] == c.cluster && at["sync.annex.dev/workspace-name"] == name && at["sync.annex.dev/applied"] != "" {
				found = &list.Items[i]
				return nil
			}
		}
		return fmt.Errorf("no counterpart of %s of %s among %d", name, c.path, len(list.Items))
	})
	return found
}

func field(obj *unstructured.Unstructured, name string) string {
	value, _, _ := unstructured.NestedString(obj.Object, "spec", name)
	return value
}

// Where consumers share a namespace, none reaches what another one has, whatever it writes into its objects.
func TestSync_SharedNamespace(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.host.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: databases}")
	w.host.create(databaseDefinition)
	here, there := filepath.Join(t.TempDir(), "workspace"), filepath.Join(t.TempDir(), "host")
	writeKubeconfig(t, here, w.provider.config)
	writeKubeconfig(t, there, w.host.config)
	w.run(fmt.Sprintf(databaseConfiguration, here, there))
	var consumers []*at
	for _, name := range []string{"alpha", "beta"} {
		path, cluster := w.NewWorkspace("root", name, "")
		c := newAt(t, w.Workspace(path))
		c.path, c.cluster = path, cluster
		c.bind(w.provider, "databases", "events", "secrets")
		c.create("apiVersion: v1\nkind: Secret\nmetadata: {name: password, namespace: default}\nstringData: {password: of-" + name + "}")
		c.create(database("main", "credentials", "password"))
		consumers = append(consumers, c)
	}
	on := w.host.typed.CoreV1().Secrets("databases")
	for i, name := range []string{"alpha", "beta"} {
		db := w.counterpart(consumers[i], "main")
		got, err := on.Get(ctx, field(db, "passwordName"), metav1.GetOptions{})
		if err != nil || string(got.Data["password"]) != "of-"+name {
			t.Errorf("the password of %s is %q, %v", name, got.Data["password"], err)
		}
		// The operator does its work.
		if _, err := on.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: field(db, "secretName")}, StringData: map[string]string{"url": "of-" + name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.host.Resource(databases).Namespace("databases").Patch(ctx, db.GetName(), types.MergePatchType, []byte(`{"status":{"ready":true}}`), metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
		if got := consumers[i].secret("credentials", "url"); string(got.Data["url"]) != "of-"+name {
			t.Errorf("%s has the credentials %s", name, got.Data["url"])
		}
		annex.Eventually(t, func(ctx context.Context) error {
			got, err := consumers[i].Resource(databases).Namespace("default").Get(ctx, "main", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if ready, _, _ := unstructured.NestedBool(got.Object, "status", "ready"); !ready {
				return fmt.Errorf("the status is %v", got.Object["status"])
			}
			return nil
		})
	}
	alpha, beta := consumers[0], consumers[1]

	// A consumer that knows the names of what another one has there.
	theirs := w.counterpart(beta, "main")
	alpha.create(database("thief", field(theirs, "secretName"), field(theirs, "passwordName")))
	alpha.create(database(theirs.GetName(), "credentials-2", "password"))
	if got := w.counterpart(alpha, "thief"); field(got, "secretName") == field(theirs, "secretName") || field(got, "passwordName") == field(theirs, "passwordName") {
		t.Errorf("another consumer's names are kept: %v", got.Object["spec"])
	}
	if got := w.counterpart(alpha, theirs.GetName()); got.GetName() == theirs.GetName() {
		t.Error("a consumer has chosen the name of a counterpart")
	}
	// All that was written to the host is known by now.
	alpha.create(database("after", "credentials-3", "password"))
	w.counterpart(alpha, "after")
	if _, err := alpha.typed.CoreV1().Secrets("default").Get(ctx, field(theirs, "secretName"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("another consumer's Secret: %v", err)
	}

	// An object that is not selected any more, and one whose finalizer is removed by force.
	if _, err := alpha.Resource(databases).Namespace("default").Patch(ctx, "after", types.MergePatchType, []byte(`{"metadata":{"labels":{"served":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	forced := w.counterpart(alpha, "main")
	if _, err := alpha.Resource(databases).Namespace("default").Patch(ctx, "main", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := alpha.Resource(databases).Namespace("default").Delete(ctx, "main", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.host.gone(databases, "databases", forced.GetName())
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := alpha.Resource(databases).Namespace("default").Get(ctx, "after", metav1.GetOptions{})
		if err == nil && len(got.GetFinalizers()) > 0 {
			return fmt.Errorf("the finalizers are %v", got.GetFinalizers())
		}
		return err
	})
	if len(w.ofConsumer(alpha)) != 2 {
		t.Errorf("alpha has the counterparts %v", w.ofConsumer(alpha))
	}

	// A consumer that has not accepted the claim on Secrets is told, and can leave.
	path, _ := w.NewWorkspace("root", "gamma", "")
	gamma := newAt(t, w.Workspace(path))
	gamma.bind(w.provider, "databases", "events")
	gamma.create(database("main", "credentials", "password"))
	gamma.told("SyncNotClaimed", "main", "accept the permission claim on secrets")
	if err := gamma.Resource(databases).Namespace("default").Delete(ctx, "main", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gamma.gone(databases, "default", "main")

	// A workspace that goes takes its own along.
	_, root := annex.Clients(t, w.Workspace("root"))
	if err := root.Resource(workspaces).Delete(ctx, "alpha", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(context.Context) error {
		if left := w.ofConsumer(alpha); len(left) > 0 {
			return fmt.Errorf("%v are left", left)
		}
		return nil
	})
	if len(w.ofConsumer(beta)) != 1 || string(beta.secret("credentials", "url").Data["url"]) != "of-beta" {
		t.Error("something of the other consumer is gone")
	}
	annex.Eventually(t, func(ctx context.Context) error {
		copies, err := on.List(ctx, metav1.ListOptions{LabelSelector: "sync.annex.dev/agent=databases"})
		if err == nil && (len(copies.Items) != 1 || string(copies.Items[0].Data["password"]) != "of-beta") {
			return fmt.Errorf("there are %d copies in the shared namespace", len(copies.Items))
		}
		return err
	})
}

// ofConsumer returns the names of all counterparts of a consumer.
func (w *world) ofConsumer(c *at) []string {
	w.t.Helper()
	list, err := w.host.Resource(databases).Namespace("databases").List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].GetAnnotations()["sync.annex.dev/cluster"] == c.cluster {
			names = append(names, list.Items[i].GetName())
		}
	}
	return names
}
