package layout

import (
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/storage/value"
)

func TestGuardTransformer_RefusesKeysThatAreNotTheObjects(t *testing.T) {
	typed := Transformer{Layout: Resource{Resource: configMaps, Root: TypedRoot(configMaps)}, Prefix: DefaultPrefix}
	custom := Transformer{Layout: Resource{Resource: widgets, Root: CustomResourceRoot(widgets), Custom: true}, Prefix: DefaultPrefix}
	c1 := target(t.Context(), "c1")
	for _, c := range []struct {
		name      string
		guard     Transformer
		key, data string
		want      string // part of the error; empty for success
	}{
		{"typed, its own key", typed, "/annex/core/configmaps/c1/ns/a", "c1/ns/a\x00data", ""},
		{"typed, the key of another cluster", typed, "/annex/core/configmaps/c2/ns/a", "c1/ns/a\x00data", "refused write: the object belongs to"},
		{"typed, the key of another name", typed, "/annex/core/configmaps/c1/ns/b", "c1/ns/a\x00data", "refused write: the object belongs to"},
		{"typed, object and key of another cluster than the request", typed, "/annex/core/configmaps/c2/ns/a", "c2/ns/a\x00data", "refused write: the request is for"},
		{"typed, the key of another resource", typed, "/annex/core/secrets/c1/ns/a", "c1/ns/a\x00data", "does not belong"},
		{"typed, no envelope", typed, "/annex/core/configmaps/c1/ns/a", "data", "refused write"},
		{"custom, its own key", custom, "/annex/cr/8/example.com/widgets/crd/c1/ns/a", "c1/ns/a\x00data", ""},
		{"custom, another bucket", custom, "/annex/cr/8/example.com/widgets/other/c1/ns/a", "c1/ns/a\x00data", "refused write: the request is for bucket"},
		{"custom, another cluster", custom, "/annex/cr/8/example.com/widgets/crd/c2/ns/a", "c2/ns/a\x00data", "refused write: the request is for cluster"},
	} {
		out, err := c.guard.TransformToStorage(c1, []byte(c.data), value.DefaultContext(c.key))
		switch {
		case c.want == "" && (err != nil || string(out) != "data"):
			t.Errorf("%s: %q, %v", c.name, out, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %q, %v; want an error with %q", c.name, out, err, c.want)
		}
	}
	if _, err := typed.TransformToStorage(t.Context(), []byte("c1/ns/a\x00data"), value.DefaultContext("/annex/core/configmaps/c1/ns/a")); err == nil {
		t.Error("a write without target was let through")
	}
}
