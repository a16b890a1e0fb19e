package kinds

import (
	"context"
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	const key = logicalcluster.AnnotationKey
	in := logicalcluster.WithCluster(t.Context(), "one")
	tests := map[string]struct {
		ctx       context.Context
		has, want map[string]string
	}{
		"none":            {in, nil, map[string]string{key: "one"}},
		"forged":          {in, map[string]string{key: "two", "a": "b"}, map[string]string{key: "one", "a": "b"}},
		"right":           {in, map[string]string{key: "one"}, map[string]string{key: "one"}},
		"no cluster":      {t.Context(), map[string]string{key: "two", "a": "b"}, map[string]string{"a": "b"}},
		"wildcard":        {logicalcluster.WithWildcard(t.Context()), map[string]string{key: "two"}, map[string]string{}},
		"empty, no place": {t.Context(), map[string]string{key: ""}, map[string]string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := maps.Clone(tt.has)
			obj := &metav1.ObjectMeta{Annotations: tt.has}
			Stamp(tt.ctx, obj)
			if !maps.Equal(obj.Annotations, tt.want) {
				t.Errorf("got %v, want %v", obj.Annotations, tt.want)
			}
			if !maps.Equal(tt.has, before) {
				t.Errorf("wrote into a map that may be shared")
			}
		})
	}
}
