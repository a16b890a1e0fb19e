package engine

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

var widgets = schema.GroupResource{Group: "example.com", Resource: "widgets"}

// Only a server that knows the resource says that an object is gone. Otherwise a binding or an endpoint that is away would delete what a consumer
// has.
func TestIsGone(t *testing.T) {
	unserved := apierrors.NewGenericServerResponse(http.StatusNotFound, "get", widgets, "", "the server could not find the requested resource", 0, true)
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"no object":             {fmt.Errorf("reading: %w", apierrors.NewNotFound(widgets, "web")), true},
		"another object":        {apierrors.NewNotFound(widgets, "other"), false},
		"it is there":           {nil, false},
		"no access":             {apierrors.NewForbidden(widgets, "web", errors.New("no binding")), false},
		"no resource":           {unserved, false},
		"no server":             {errors.New("connection refused"), false},
		"a server that is full": {apierrors.NewTooManyRequestsError("later"), false},
	} {
		if got := isGone(tc.err, "web"); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Users hear what is wrong with their object, and nothing of the permissions of the agent.
func TestExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		told bool
	}{
		"nothing":          {nil, false},
		"the schema":       {apierrors.NewInvalid(schema.GroupKind{Kind: "Widget"}, "web", nil), true},
		"a webhook":        {apierrors.NewForbidden(widgets, "web", errors.New(`admission webhook "x" denied the request: too large`)), true},
		"a policy":         {apierrors.NewForbidden(widgets, "web", errors.New(`ValidatingAdmissionPolicy 'x' with binding 'y' denied request: too large`)), true},
		"no permission":    {apierrors.NewForbidden(widgets, "web", errors.New(`User "system:serviceaccount:a:b" cannot create resource`)), false},
		"a server's fault": {apierrors.NewInternalError(errors.New("etcd")), false},
		"a conflict":       {apierrors.NewConflict(widgets, "web", errors.New("x")), false},
	} {
		got := explained(tc.err)
		var known *refusal
		if is := errors.As(got, &known); is != tc.told || (!is && !errors.Is(got, tc.err)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHas_OthersMayAdd(t *testing.T) {
	list := func(items ...any) []any { return items }
	found := map[string]any{"a": int64(1), "added": true, "list": list(map[string]any{"x": "y", "added": "z"}, "more"), "empty": nil}
	for name, tc := range map[string]struct {
		want map[string]any
		has  bool
	}{
		"nothing":           {map[string]any{}, true},
		"the same":          {map[string]any{"a": int64(1)}, true},
		"another value":     {map[string]any{"a": int64(2)}, false},
		"another type":      {map[string]any{"a": "1"}, false},
		"a missing field":   {map[string]any{"b": int64(1)}, false},
		"null is nothing":   {map[string]any{"b": nil}, true},
		"an empty object":   {map[string]any{"empty": map[string]any{}}, true},
		"items with more":   {map[string]any{"list": list(map[string]any{"x": "y"})}, true},
		"other items":       {map[string]any{"list": list(map[string]any{"x": "n"})}, false},
		"more items":        {map[string]any{"list": list(map[string]any{}, "more", "most")}, false},
		"a list for a map":  {map[string]any{"list": map[string]any{"x": "y"}}, false},
		"a map for a value": {map[string]any{"a": map[string]any{"x": "y"}}, false},
	} {
		if got := has(found, tc.want); got != tc.has {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFill_TakesOnlyTheContent(t *testing.T) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"x": "y"}, Annotations: map[string]string{"x": "y"}, OwnerReferences: []metav1.OwnerReference{{Name: "x"}}},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k")},
	}
	for _, keys := range [][]string{nil, {"tls.crt"}, {"tls.crt", "none"}} {
		got := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Data: map[string][]byte{"old": nil}}
		fill(got, secret, keys)
		wantType, wantKeys := corev1.SecretTypeTLS, 2
		if keys != nil {
			wantType, wantKeys = corev1.SecretTypeOpaque, 1
		}
		if got.Name != "b" || got.Type != wantType || len(got.Data) != wantKeys || len(got.Labels)+len(got.Annotations)+len(got.OwnerReferences) > 0 {
			t.Errorf("%v: %v", keys, got)
		}
	}
	settings := &corev1.ConfigMap{Data: map[string]string{"a": "b"}, BinaryData: map[string][]byte{"c": []byte("d")}}
	got := &corev1.ConfigMap{}
	fill(got, settings, []string{"c"})
	if len(got.Data) != 0 || len(got.BinaryData) != 1 {
		t.Errorf("%v", got)
	}
}

// What no configuration names is followed by nobody.
func TestIndexOf(t *testing.T) {
	a := &Agent{config: &config.SyncConfiguration{Resources: []config.Resource{{Group: "a.io", Resource: "as"}, {Group: "b.io", Resource: "bs"}}}}
	for name, want := range map[string]int{"as.a.io": 0, "bs.b.io": 1, "bs.a.io": -1, "": -1} {
		if got := a.indexOf(name); got != want {
			t.Errorf("%q: %d", name, got)
		}
	}
}
