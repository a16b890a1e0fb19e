package kinds_test

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// Toy is a kind that nothing outside this file knows.
type Toy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Color   string `json:"color,omitempty"`
		Address string `json:"address,omitempty"`
	} `json:"spec,omitempty"`
	Status struct {
		Broken bool `json:"broken,omitempty"`
	} `json:"status,omitempty"`
}

func (t *Toy) DeepCopyObject() runtime.Object {
	out := *t
	t.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

type ToyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Toy `json:"items"`
}

func (l *ToyList) DeepCopyObject() runtime.Object {
	out := &ToyList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*Toy))
	}
	return out
}

var toys = schema.GroupVersionResource{Group: "toys.dev", Version: "v1", Resource: "toys"}

// toyTable has the one row that a kind takes. The row says nothing that it need not say.
func toyTable() *kinds.Table {
	return kinds.NewTable(kinds.Group{
		Name: toys.Group,
		Register: []func(*runtime.Scheme) error{func(s *runtime.Scheme) error {
			s.AddKnownTypes(toys.GroupVersion(), &Toy{}, &ToyList{})
			metav1.AddToGroupVersion(s, toys.GroupVersion())
			s.AddTypeDefaultingFunc(&Toy{}, func(obj any) {
				if toy := obj.(*Toy); toy.Spec.Color == "" {
					toy.Spec.Color = "red"
				}
			})
			return nil
		}},
		Rows: []kinds.Row{{
			Resource: toys.Resource, Singular: "toy", Versions: []string{toys.Version},
			Object: &Toy{}, List: &ToyList{}, MediaType: runtime.ContentTypeJSON,
		}},
	})
}

// toyGroup is what a registry/<group> folder holds.
func toyGroup(t *testing.T, table *kinds.Table) *group.Group {
	t.Helper()
	s := table.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	g, err := kinds.NewGroup(toys.Group, s, backend.RESTOptionsGetter(), &kinds.Kind[Toy, *Toy]{
		Prepare: func(toy, _ *Toy) { toy.Spec.Address = "" },
		ValidateCreate: func(toy *Toy) field.ErrorList {
			if toy.Spec.Color == "green" {
				return field.ErrorList{field.Invalid(field.NewPath("spec", "color"), toy.Spec.Color, "is not a color")}
			}
			return nil
		},
		Render: func(toy *Toy) { toy.Spec.Address = "/clusters/" + logicalcluster.From(toy).String() + "/" + toy.Name },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	return g
}

// A new kind is closed until its row opens it.
func TestToy_IsClosedByDefault(t *testing.T) {
	t.Parallel()
	table, gr := toyTable(), toys.GroupResource()
	for name, wrong := range map[string]bool{
		"every workspace serves it":           table.IsEverywhere(gr),
		"a workspace need not bind it":        !table.IsBound(gr),
		"the host workspace serves it":        table.IsInHostWorkspace(gr),
		"root exports it":                     len(table.Exported()) != 0,
		"the host forwards it":                table.IsHosted(gr.Group) || len(table.Hosted()) != 0 || len(table.HostVersions()) != 0,
		"users write its status":              !table.IsStatusByServer(gr),
		"users define resources in its group": !table.IsReserved("toys.dev", "abc") || !table.IsReserved("x.toys.dev", "abc"),
		"root defines resources in its group": !table.IsReserved("toys.dev", logicalcluster.Root),
		"it needs no storage":                 table.Check(nil) == nil,
	} {
		if wrong {
			t.Errorf("although its row does not say so: %s", name)
		}
	}
}

func TestToy_IsOneRowAndOneKind(t *testing.T) {
	t.Parallel()
	table := toyTable()
	g := toyGroup(t, table)
	if err := table.Check([]*group.Group{g}); err != nil {
		t.Error(err)
	}
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), "one")
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: toys.Group, APIVersion: toys.Version})
	users, system := g.Versions["v1"]["toys"].(*kinds.REST), g.System["toys"]
	status := g.Versions["v1"]["toys/status"].(rest.Updater)

	forged := func(color string, broken bool) *Toy {
		toy := &Toy{ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{logicalcluster.AnnotationKey: "two"}}}
		toy.Spec.Color, toy.Spec.Address, toy.Status.Broken = color, "forged", broken
		return toy
	}
	update := func(by rest.Updater, toy *Toy, options *metav1.UpdateOptions) (runtime.Object, error) {
		obj, _, err := by.Update(ctx, "a", rest.DefaultUpdatedObjectInfo(toy), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, options)
		return obj, err
	}
	check := func(what string, obj runtime.Object, err error, color string, broken bool, generation int64, address string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		toy := obj.(*Toy)
		if toy.Spec.Color != color || toy.Status.Broken != broken || toy.Generation != generation || toy.Spec.Address != address || logicalcluster.From(toy) != "one" {
			t.Errorf("%s: got %+v", what, toy)
		}
	}
	const address = "/clusters/one/a"
	dry := []string{metav1.DryRunAll}

	if _, err := users.Create(ctx, forged("green", false), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("not validated: %v", err)
	}
	obj, err := users.Create(ctx, forged("", true), rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dry})
	check("create, dry run", obj, err, "red", false, 1, address)
	obj, err = users.Create(ctx, forged("", true), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	check("create", obj, err, "red", false, 1, address)
	obj, err = update(users, forged("blue", true), &metav1.UpdateOptions{DryRun: dry})
	check("update, dry run", obj, err, "blue", false, 2, address)
	obj, err = update(status, forged("blue", true), &metav1.UpdateOptions{DryRun: dry})
	check("status, dry run", obj, err, "red", true, 1, address)
	obj, err = update(status, forged("blue", true), &metav1.UpdateOptions{})
	check("status", obj, err, "red", true, 1, address)
	obj, err = update(users, forged("blue", false), &metav1.UpdateOptions{})
	check("update", obj, err, "blue", true, 2, address)
	obj, err = update(system, forged("pink", false), &metav1.UpdateOptions{})
	check("update by the server", obj, err, "pink", false, 3, "")

	watched, err := users.Watch(ctx, &metainternalversion.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Stop()
	for seen := false; !seen; {
		select {
		case event := <-watched.ResultChan():
			// The first events may be of older states.
			if seen = event.Object.(*Toy).Generation == 3; seen {
				check("watch", event.Object, nil, "pink", false, 3, address)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no event")
		}
	}
	shown, err := users.ConvertToTable(ctx, obj, nil)
	if err != nil || len(shown.ColumnDefinitions) != 2 || shown.Rows[0].Cells[0] != "a" {
		t.Errorf("shown as %+v, %v", shown, err)
	}
}
