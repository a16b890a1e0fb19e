package apibinding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
)

const (
	provider = logicalcluster.Name("provider")
	consumer = logicalcluster.Name("consumer")
)

// resolver is a table of paths; every name resolves to itself.
type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if path == "broken" {
		return "", false, errors.New("etcd is gone")
	}
	if name, ok := r[path]; ok {
		return name, true, nil
	}
	return logicalcluster.Name(path), path == "provider" || path == "consumer" || path == "root", nil
}

// instances deletes what the fake holds, and for custom resources remembers what it was asked to delete and says what is left.
type instances struct {
	client.Content
	deleted []string
	left    map[schema.GroupResource]int
	err     error
	// listed counts calls of List, which returns listErr.
	listed  int
	listErr error
}

var errLost = errors.New("etcd is gone")

// List returns what is left of custom resources.
func (i *instances) List(_ context.Context, scope client.ContentScope) (heads []client.Head, err error) {
	i.listed++
	for gr, n := range i.left {
		if scope.Cluster == consumer && scope.Wanted(gr, "hash-things") {
			heads = append(heads, make([]client.Head, n)...)
		}
	}
	return heads, i.listErr
}

func (i *instances) DeleteAll(ctx context.Context, scope client.ContentScope) (client.Remaining, error) {
	remaining, err := i.Content.DeleteAll(ctx, scope)
	if err != nil {
		return remaining, err
	}
	for _, gr := range []schema.GroupResource{groupResource("example.com", "widgets"), groupResource("example.com", "gadgets")} {
		for _, identity := range []string{client.LocalBucket, "hash-things", "hash-stranger"} {
			if !scope.Wanted(gr, identity) {
				continue
			}
			i.deleted = append(i.deleted, fmt.Sprintf("%s %s %s", scope.Cluster, gr, identity))
			for range i.left[gr] {
				remaining.Add(gr, nil)
			}
			err = i.err
		}
	}
	return remaining, err
}

// fixture is a controller over a client in memory.
type fixture struct {
	t *testing.T
	*Controller
	fake      *clienttest.Fake
	instances *instances
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	t.Helper()
	fake := clienttest.NewFake(objects...)
	deleter := &instances{Content: clienttest.NewContent(fake), left: map[schema.GroupResource]int{}}
	f := &fixture{t: t, fake: fake, instances: deleter}
	config := multicluster.Config{
		Client: fake, Live: fake, Resolver: resolver{"root:org:provider": provider}, Content: deleter,
		IsBound: func(gr schema.GroupResource) bool { return gr.Group == "tenancy.kcp.io" },
	}
	f.Controller = New(config, names.New(config))
	t.Cleanup(func() {
		if keys := fake.Mutated(); len(keys) > 0 {
			t.Errorf("objects of the watch cache were changed: %v", keys)
		}
	})
	return f
}

// run reconciles the binding of the consumer called name until nothing is written any more, and returns it.
func (f *fixture) run(name string) *apisv1alpha2.APIBinding {
	f.t.Helper()
	f.names.Restart() // nobody follows events for it
	key := client.Key{Cluster: consumer, Name: name}
	for range 5 {
		before := len(f.fake.Writes())
		if _, err := f.reconcile(f.t.Context(), key); err != nil {
			f.t.Fatal(err)
		}
		if len(f.fake.Writes()) == before {
			return f.binding(name)
		}
	}
	f.t.Fatalf("reconciling %s does not settle: %v", key, f.fake.Writes())
	return nil
}

// start runs the controllers until the test ends.
func (f *fixture) start() {
	f.t.Helper()
	specs := append(f.Specs(), f.names.Spec())
	done := make(chan error, len(specs))
	ctx, cancel := context.WithCancel(f.t.Context())
	for _, spec := range specs {
		go func() { done <- multicluster.Run(ctx, f.fake, spec) }()
	}
	f.t.Cleanup(func() {
		cancel()
		for range specs {
			if err := <-done; err != nil {
				f.t.Error(err)
			}
		}
	})
}

// await waits until the condition of the binding called name is what is wanted.
func (f *fixture) await(name string, of conditionsv1alpha1.ConditionType, want string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := f.fake.Await(ctx, bindings, client.Key{Cluster: consumer, Name: name}, func(obj client.Object) bool {
		binding, ok := obj.(*apisv1alpha2.APIBinding)
		return ok && condition(binding, of) == want
	}); err != nil {
		f.t.Fatalf("%s does not become %s: %v", of, want, err)
	}
}

// binding returns the binding of the consumer; nil when it is gone.
func (f *fixture) binding(name string) *apisv1alpha2.APIBinding {
	f.t.Helper()
	binding, err := client.Find[apisv1alpha2.APIBinding](f.t.Context(), f.fake, bindings, client.Key{Cluster: consumer, Name: name})
	if err != nil {
		f.t.Fatal(err)
	}
	return binding
}

func (f *fixture) update(gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) {
	f.t.Helper()
	if _, err := f.fake.Update(f.t.Context(), gr, cluster, obj); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) create(gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) {
	f.t.Helper()
	if _, err := f.fake.Create(f.t.Context(), gr, cluster, obj); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) delete(gr schema.GroupResource, key client.Key) {
	f.t.Helper()
	if err := f.fake.Delete(f.t.Context(), gr, key, nil); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) clean(uid string) reconcile.Result {
	f.t.Helper()
	result, err := f.cleanUp(f.t.Context(), definitionKey(uid))
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

func (f *fixture) hasDefinition(uid string) bool {
	f.t.Helper()
	definition, err := f.definition(f.t.Context(), uid)
	if err != nil {
		f.t.Fatal(err)
	}
	return definition != nil
}

// schemaOf returns a schema called prefix.resource.example.com whose UID is "uid-" and its name.
func schemaOf(prefix, resource, kind string, shorts ...string) *apisv1alpha1.APIResourceSchema {
	return schemaIn(provider, "example.com", prefix, resource, kind, shorts...)
}

func schemaIn(cluster logicalcluster.Name, group, prefix, resource, kind string, shorts ...string) *apisv1alpha1.APIResourceSchema {
	name := prefix + "." + resource + "." + group
	return clienttest.In(cluster, &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Spec: apisv1alpha1.APIResourceSchemaSpec{
			Group: group,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Plural: resource, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List", ShortNames: shorts,
			},
			Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apisv1alpha1.APIResourceVersion{{
				Name: "v1", Storage: true, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object"}`)},
			}},
		},
	})
}

// exportOf returns an export of the provider with the identity hash "hash-" and its name.
func exportOf(name string, offered ...*apisv1alpha1.APIResourceSchema) *apisv1alpha2.APIExport {
	export := clienttest.In(provider, &apisv1alpha2.APIExport{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     apisv1alpha2.APIExportStatus{IdentityHash: "hash-" + name},
	})
	for _, s := range offered {
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{
			Name: s.Spec.Names.Plural, Group: s.Spec.Group, Schema: s.Name, Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
		})
	}
	return export
}

// bindingTo returns a binding of the consumer.
func bindingTo(name, path, export string) *apisv1alpha2.APIBinding {
	return clienttest.In(consumer, &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{apisv1alpha2.APIBindingFinalizer}},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: path, Name: export},
		}},
	})
}

// condition returns "True", or "False" and the reason.
func condition(binding *apisv1alpha2.APIBinding, of conditionsv1alpha1.ConditionType) string {
	c := conditionsv1alpha1.Get(binding, of)
	switch {
	case c == nil:
		return ""
	case c.Status == corev1.ConditionTrue:
		return "True"
	}
	return strings.TrimSpace(string(c.Status) + " " + c.Reason)
}

// boundTo lists what binding has bound, each as resource=schema.
func boundTo(binding *apisv1alpha2.APIBinding) []string {
	var all []string
	for _, bound := range binding.Status.BoundResources {
		all = append(all, bound.Resource+"="+bound.Schema.Name)
	}
	return all
}
