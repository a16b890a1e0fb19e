package catalog

import (
	"context"
	"runtime"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/storage/head"
)

// definitionsRead notes which definitions are read.
type definitionsRead struct {
	client.Reader
	names []string
}

func (r *definitionsRead) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	if gr == definitionsResource {
		r.names = append(r.names, key.Name)
	}
	return r.Reader.Get(ctx, gr, key)
}

func (r *definitionsRead) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if gr == definitionsResource {
		r.names = append(r.names, "all")
	}
	return r.Reader.List(ctx, gr, scope)
}

// A change of one definition in a cluster reads none of the others, which may be large.
func TestEstablished_ReadsOnlyWhatHasChanged(t *testing.T) {
	fake := clienttest.NewFake()
	create := func(crd *apiextensionsv1.CustomResourceDefinition) client.Object {
		t.Helper()
		created, err := fake.Create(t.Context(), definitionsResource, "c1", crd)
		if err != nil {
			t.Fatal(err)
		}
		return created
	}
	create(local("c1", "same", "string"))
	other := create(local("c1", "other", "string")).DeepCopyObject().(*apiextensionsv1.CustomResourceDefinition)
	going := local("c1", "going", "string")
	going.Status.Conditions = append(going.Status.Conditions, apiextensionsv1.CustomResourceDefinitionCondition{Type: apiextensionsv1.Terminating, Status: apiextensionsv1.ConditionTrue})
	create(going)
	reader := &definitionsRead{Reader: fake}
	c := New(Config{Reader: reader, Heads: func(ctx context.Context, cluster logicalcluster.Name) ([]head.Head, error) {
		all, err := fake.List(ctx, definitionsResource, client.Scope{Cluster: cluster})
		var heads []head.Head
		for _, obj := range all {
			heads = append(heads, head.Of(definitionsResource, "", obj))
		}
		return heads, err
	}})
	build := func(want ...string) *Snapshot {
		t.Helper()
		reader.names = nil
		s, err := c.build(t.Context(), reader, "c1")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(reader.names)
		if !slices.Equal(reader.names, want) {
			t.Errorf("read %q, want %q", reader.names, want)
		}
		return s
	}
	first := build("going.example.com", "other.example.com", "same.example.com")
	if got := build(); !slices.Equal(describe(got), describe(first)) || len(got.owners) != 3 {
		t.Errorf("got %q, want %q", describe(got), describe(first))
	}
	other.Status.Conditions = nil
	if _, err := fake.Update(t.Context(), definitionsResource, "c1", other); err != nil {
		t.Fatal(err)
	}
	if got := build("other.example.com"); len(got.Resources()) != 2 {
		t.Errorf("got %q", describe(got))
	}
	runtime.KeepAlive(first)
}
