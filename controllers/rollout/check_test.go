package rollout

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var widgets = schema.GroupResource{Group: "example.com", Resource: "widgets"}

// stored has the widgets of one consumer, by their sizes. Reading one takes a second.
type stored struct {
	client.Content
	sizes map[string]any
	now   time.Time
	read  []string
}

func (s *stored) List(_ context.Context, scope client.ContentScope) (heads []client.Head, err error) {
	for _, resource := range []schema.GroupResource{widgets, {Group: "example.com", Resource: "others"}} {
		for _, bucket := range []string{"identity", "other"} {
			if scope.Cluster != "consumer" || !scope.Wanted(resource, bucket) {
				continue
			}
			for name := range s.sizes {
				heads = append(heads, client.Head{Resource: resource, Bucket: bucket, Cluster: scope.Cluster, Namespace: "default", Name: name, Damaged: name == "damaged"})
			}
		}
	}
	return heads, nil
}

func (s *stored) Get(_ context.Context, h client.Head) (client.Object, error) {
	s.now = s.now.Add(time.Second)
	s.read = append(s.read, h.Name)
	if h.Name == "gone" {
		return nil, apierrors.NewNotFound(widgets, h.Name)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": h.Name, "namespace": h.Namespace},
		"spec": map[string]any{"size": s.sizes[h.Name], "secret": "do not tell"},
	}}, nil
}

func sized(uid string, maximum int) *apisv1alpha1.APIResourceSchema {
	s := &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: uid + ".widgets.example.com", UID: types.UID(uid)}}
	s.Spec = apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
		Versions: []apisv1alpha1.APIResourceVersion{{Name: "v1", Served: ptr.To(true), Storage: true, Schema: runtime.RawExtension{Raw: fmt.Appendf(nil,
			`{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer","maximum":%d},"secret":{"type":"string","maxLength":20}}}}}`, maximum)}}},
	}
	return s
}

// checkAll checks the consumer in steps of two objects, and returns what was found and in how many steps.
func checkAll(t *testing.T, content *stored, source *apisv1alpha1.APIResourceSchema) (faults []string, steps int) {
	t.Helper()
	o := &objects{content: content, reader: clienttest.NewFake(), now: func() time.Time { return content.now }}
	p := &progress{identity: "identity"}
	for done := false; !done; steps++ {
		var err error
		if done, err = o.Check(t.Context(), "consumer", map[schema.GroupResource]*apisv1alpha1.APIResourceSchema{widgets: source}, p, 2*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return p.faults, steps
}

func TestCheck(t *testing.T) {
	content := &stored{sizes: map[string]any{"a": int64(1), "b": int64(70000), "c": int64(3), "damaged": nil, "gone": int64(70000)}}
	faults, steps := checkAll(t, content, sized("v2", 100))
	if len(faults) != 1 || !strings.HasPrefix(faults[0], `widgets.example.com "default/b": spec.size `) || strings.Contains(faults[0], "70000") || strings.Contains(faults[0], "tell") {
		t.Errorf("faults %q", faults)
	}
	if got := strings.Join(content.read, " "); got != "a b c gone" || steps != 3 {
		t.Errorf("read %s in %d steps, want each object once, two in a step", got, steps)
	}
	if faults, _ := checkAll(t, content, sized("v3", 100000)); len(faults) > 0 {
		t.Errorf("faults %q of a schema that all fit", faults)
	}
	// Many faults end it.
	content = &stored{sizes: map[string]any{}}
	for i := range 100 {
		content.sizes[fmt.Sprintf("w%02d", i)] = int64(200)
	}
	if faults, _ := checkAll(t, content, sized("v2", 100)); len(faults) != maxFaults || len(content.read) != maxFaults {
		t.Errorf("%d faults after reading %d objects", len(faults), len(content.read))
	}
}

func TestCheck_KeepsFewSchemasCompiled(t *testing.T) {
	o := &objects{reader: clienttest.NewFake()}
	first, err := o.checker(t.Context(), sized("s0", 1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if again, err := o.checker(t.Context(), sized("s0", 1)); err != nil || again != first {
			t.Errorf("compiled again: %v", err)
		}
		if _, err := o.checker(t.Context(), sized(fmt.Sprint("t", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.compiled) != compiledSchemas {
		t.Errorf("%d schemas are kept", len(o.compiled))
	}
}

func TestGate(t *testing.T) {
	var none *Gate
	key := func(name string) client.Key { return client.Key{Cluster: logicalcluster.Name(name), Name: "b"} }
	if none.Passes(key("r"), 1, key("a")) {
		t.Error("a gate that is not there is open")
	}
	none.Feed(t.Context(), nil)
	g := NewGate()
	g.let(key("r"), 1, key("a"))
	g.let(key("r"), 1, key("b"))
	if !g.Passes(key("r"), 1, key("a")) || g.Passes(key("r"), 2, key("a")) || g.Passes(key("q"), 1, key("a")) || g.Passes(key("r"), 1, key("c")) {
		t.Error("the gate is open for others, or closed")
	}
	if n := g.keep(key("r"), 1, func(k client.Key) bool { return k == key("b") }, func(client.Key) bool { return true }); n != 1 || g.Passes(key("r"), 1, key("a")) {
		t.Errorf("%d pass", n)
	}
	if g.close(key("r")); len(g.open) != 0 {
		t.Errorf("%v is kept", g.open)
	}
}
