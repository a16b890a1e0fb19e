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

func TestStamp_NobodyManagesIt(t *testing.T) {
	t.Parallel()
	const mine = `{"f:metadata":{"f:annotations":{"f:a":{}}}}`
	for name, tt := range map[string]struct{ has, want string }{
		"typed, nothing else":      {`{"f:metadata":{"f:annotations":{}}}`, ""},
		"typed, and data":          {`{"f:data":{".":{},"f:a":{}},"f:metadata":{"f:annotations":{}}}`, `{"f:data":{".":{},"f:a":{}}}`},
		"custom, nothing else":     {`{"f:metadata":{"f:annotations":{".":{},"f:kcp.io/cluster":{}}}}`, ""},
		"another annotation":       {`{"f:metadata":{"f:annotations":{".":{},"f:a":{},"f:kcp.io/cluster":{}}}}`, `{"f:metadata":{"f:annotations":{".":{},"f:a":{}}}}`},
		"only another annotation":  {`{"f:metadata":{"f:annotations":{".":{},"f:a":{}}}}`, `{"f:metadata":{"f:annotations":{".":{},"f:a":{}}}}`},
		"no annotations":           {`{"f:data":{}}`, `{"f:data":{}}`},
		"what is no set of fields": {`{"f:annotations":1`, `{"f:annotations":1`},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "before-first-apply", FieldsV1: metav1.NewFieldsV1(tt.has)}, {Manager: "me", FieldsV1: metav1.NewFieldsV1(mine)},
			}}
			shared := obj.ManagedFields
			Stamp(logicalcluster.WithCluster(t.Context(), "one"), obj)
			if shared[0].FieldsV1.GetRawString() != tt.has {
				t.Error("wrote into fields that may be shared")
			}
			got := map[string]string{}
			for _, entry := range obj.ManagedFields {
				got[entry.Manager] = entry.FieldsV1.GetRawString()
			}
			want := map[string]string{"me": mine}
			if tt.want != "" {
				want["before-first-apply"] = tt.want
			}
			if !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
