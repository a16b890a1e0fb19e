package schema

import (
	"context"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/nice/nicetest"
)

// told says which work of a request gave way.
type told struct {
	t *testing.T
	*admission.Handler
	rest.RESTCreateStrategy
	work map[string]bool
}

func (x told) Admit(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	x.work["admission"] = nicetest.GivesWay(x.t)
	return nil
}

type telling struct{ told }

func (x telling) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	x.work["admission after all changes"] = nicetest.GivesWay(x.t)
	return nil
}

type tellingStrategy struct{ told }

func (x tellingStrategy) Validate(context.Context, runtime.Object) field.ErrorList {
	x.work["validation"] = nicetest.GivesWay(x.t)
	return nil
}

// The authors of schemas, rules and policies decide how long a creation takes.
func TestCreating_GivesWay(t *testing.T) {
	for _, gives := range []bool{true, false} {
		ctx := t.Context()
		if gives {
			ctx = nice.With(ctx)
		}
		work := told{t: t, Handler: admission.NewHandler(admission.Create), work: map[string]bool{}}
		objects := &customresource.REST{Store: &registry.Store{CreateStrategy: tellingStrategy{work}}}
		scope := &handlers.RequestScope{TableConvertor: objects}
		c := &creating{Interface: telling{work}}
		a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "", "x", schema.GroupVersionResource{}, "", admission.Create, nil, false, nil)
		for range 2 { // the strategy is wrapped once
			if err := c.Admit(ctx, a, scope); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Validate(ctx, a, scope); err != nil {
			t.Fatal(err)
		}
		if _, once := objects.CreateStrategy.(givingWay).RESTCreateStrategy.(tellingStrategy); !once {
			t.Errorf("the strategy is %T", objects.CreateStrategy)
		}
		objects.CreateStrategy.Validate(ctx, nil)
		for _, part := range []string{"admission", "admission after all changes", "validation"} {
			if got, done := work.work[part]; got != gives || !done {
				t.Errorf("%s is done: %t, gives way: %t, want %t", part, done, got, gives)
			}
		}
	}
}

// Every definition has a strategy that gives way, with free names or without.
func TestCreating_WrapsEveryStrategy(t *testing.T) {
	s := newServer(t, nil)
	s.serve("free", "identity", freeWidgets(t))
	s.serve("strict", "identity", definition(t, widgetsA))
	for _, cluster := range []string{"free", "strict"} {
		s.must(201, "POST", cluster+widgets, asJSON, widget("x", `{}`))
		e, err := s.handlers.entry(s.clusters[cluster], "somebody")
		if err != nil {
			t.Fatal(err)
		}
		storage, err := e.storage()
		if err != nil {
			t.Fatal(err)
		}
		if got := storage.(*customresource.REST).CreateStrategy; !isGivingWay(got) {
			t.Errorf("%s: the strategy is %T", cluster, got)
		}
	}
}

func isGivingWay(s rest.RESTCreateStrategy) bool {
	_, is := s.(givingWay)
	return is
}
