package admission

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/nice/nicetest"
)

type gives struct {
	*admission.Handler
	admit, validate func()
}

func (g gives) Admit(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	g.admit()
	return nil
}

func (g gives) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	g.validate()
	return nil
}

// The authors of policies and webhooks decide how long admission takes.
func TestNew_GivesWay(t *testing.T) {
	var admitted, validated []bool
	plugin := gives{
		Handler:  admission.NewHandler(admission.Create),
		admit:    func() { admitted = append(admitted, nicetest.GivesWay(t)) },
		validate: func() { validated = append(validated, nicetest.GivesWay(t)) },
	}
	c := config()
	c.HostQuotas = plugin
	chain, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{nice.With(t.Context()), t.Context()} {
		a := admission.NewAttributesRecord(&unstructured.Unstructured{}, nil, schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}, "", "x",
			schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}, "", admission.Create, nil, false, &user.DefaultInfo{Name: "alice"})
		if err := chain.(admission.MutationInterface).Admit(ctx, a, nil); err != nil {
			t.Fatal(err)
		}
		if err := chain.(admission.ValidationInterface).Validate(ctx, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	for what, got := range map[string][]bool{"admission": admitted, "validation": validated} {
		if len(got) != 2 || !got[0] || got[1] {
			t.Errorf("%s gives way: %v, want it to do so as the request does", what, got)
		}
	}
}
