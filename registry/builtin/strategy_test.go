package builtin

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/scheme"
)

// secretKind notes in annotations which functions ran, in order.
func secretKind() *Kind[corev1.Secret, *corev1.Secret] {
	note := func(secret *corev1.Secret, what string) {
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations["ran"] += what + " "
	}
	fail := func(_ context.Context, secret *corev1.Secret, what string) field.ErrorList {
		if secret.Labels["fail"] == what {
			return field.ErrorList{field.Invalid(field.NewPath("data"), nil, what)}
		}
		return nil
	}
	return &Kind[corev1.Secret, *corev1.Secret]{
		Version: "v1", Resource: schema.GroupResource{Resource: "secrets"}, Singular: "secret",
		List:           func() runtime.Object { return &corev1.SecretList{} },
		Fields:         func(secret *corev1.Secret) fields.Set { return fields.Set{"type": string(secret.Type)} },
		Prepare:        func(secret, _ *corev1.Secret) { note(secret, "prepare") },
		PrepareForUser: func(secret, _ *corev1.Secret) { note(secret, "user") },
		Canonicalize:   func(secret *corev1.Secret) { note(secret, "canonicalize") },
		Reset:          [][]any{{"data", "x"}},
		Name:           apimachineryvalidation.NameIsDNSLabel,
		Validate:       func(ctx context.Context, secret *corev1.Secret) field.ErrorList { return fail(ctx, secret, "always") },
		ValidateCreate: func(ctx context.Context, secret *corev1.Secret) field.ErrorList { return fail(ctx, secret, "create") },
		ValidateUpdate: func(ctx context.Context, secret, _ *corev1.Secret) field.ErrorList {
			return fail(ctx, secret, "update")
		},
		Subresources: []Subresource[*corev1.Secret]{{
			Name:           "part",
			Keep:           func(secret, _ *corev1.Secret) { note(secret, "keep") },
			Reset:          [][]any{{"type"}},
			ValidateUpdate: func(secret, _ *corev1.Secret) field.ErrorList { return fail(context.Background(), secret, "part") },
		}},
	}
}

func strategies(kind *Kind[corev1.Secret, *corev1.Secret]) (user *strategy[corev1.Secret, *corev1.Secret], system *systemStrategy[corev1.Secret, *corev1.Secret], part *partStrategy[corev1.Secret, *corev1.Secret]) {
	user = &strategy[corev1.Secret, *corev1.Secret]{kind: kind, scheme: scheme.New().Scheme}
	return user, &systemStrategy[corev1.Secret, *corev1.Secret]{strategy: *user},
		&partStrategy[corev1.Secret, *corev1.Secret]{strategy: *user, part: &kind.Subresources[0]}
}

func secret(labels map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: "x", UID: "u", ResourceVersion: "1", Labels: labels, CreationTimestamp: metav1.Now(),
		Annotations: map[string]string{logicalcluster.AnnotationKey: "forged"},
	}}
}

func TestStrategies_Prepare(t *testing.T) {
	t.Parallel()
	user, system, part := strategies(secretKind())
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), "a"), "one")
	tests := map[string]struct {
		write func(*corev1.Secret) error
		want  string
	}{
		"user creates":   {func(s *corev1.Secret) error { return rest.BeforeCreate(user, ctx, s) }, "user prepare canonicalize "},
		"user updates":   {func(s *corev1.Secret) error { return rest.BeforeUpdate(user, ctx, s, secret(nil)) }, "user prepare canonicalize "},
		"server creates": {func(s *corev1.Secret) error { return rest.BeforeCreate(system, ctx, s) }, "prepare canonicalize "},
		"server updates": {func(s *corev1.Secret) error { return rest.BeforeUpdate(system, ctx, s, secret(nil)) }, "prepare canonicalize "},
		"subresource":    {func(s *corev1.Secret) error { return rest.BeforeUpdate(part, ctx, s, secret(nil)) }, "keep prepare canonicalize "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := secret(nil)
			if err := tt.write(s); err != nil {
				t.Fatal(err)
			}
			if got := s.Annotations["ran"]; got != tt.want {
				t.Errorf("ran %q, want %q", got, tt.want)
			}
			if s.Type != corev1.SecretTypeOpaque {
				t.Error("defaults were not applied")
			}
			if logicalcluster.From(s) != "one" {
				t.Errorf("lives in %s", logicalcluster.From(s))
			}
		})
	}
}

func TestStrategies_Validate(t *testing.T) {
	t.Parallel()
	user, system, part := strategies(secretKind())
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), "a"), "one")
	writes := map[string]func(*corev1.Secret) error{
		"user creates":   func(s *corev1.Secret) error { return rest.BeforeCreate(user, ctx, s) },
		"user updates":   func(s *corev1.Secret) error { return rest.BeforeUpdate(user, ctx, s, secret(nil)) },
		"server creates": func(s *corev1.Secret) error { return rest.BeforeCreate(system, ctx, s) },
		"server updates": func(s *corev1.Secret) error { return rest.BeforeUpdate(system, ctx, s, secret(nil)) },
		"subresource":    func(s *corev1.Secret) error { return rest.BeforeUpdate(part, ctx, s, secret(nil)) },
	}
	want := map[string][]string{ // which writes each rule refuses
		"none":   nil,
		"always": {"server creates", "server updates", "user creates", "user updates"},
		"create": {"server creates", "user creates"},
		"update": {"server updates", "user updates"},
		"part":   {"subresource"},
	}
	for rule, refused := range want {
		var got []string
		for name, write := range writes {
			if err := write(secret(map[string]string{"fail": rule})); apierrors.IsInvalid(err) {
				got = append(got, name)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, refused) {
			t.Errorf("rule %q refuses %v, want %v", rule, got, refused)
		}
	}
	bad := secret(nil)
	bad.Name, bad.Labels = "a.b", map[string]string{"a b": ""}
	err := rest.BeforeCreate(user, ctx, bad)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name") || !strings.Contains(err.Error(), "metadata.labels") {
		t.Errorf("bad metadata: %v", err)
	}
}

func TestStrategies_ResetFields(t *testing.T) {
	t.Parallel()
	user, system, part := strategies(secretKind())
	for name, tt := range map[string]struct {
		strategy rest.ResetFieldsStrategy
		want     string
	}{
		"user": {user, "data.x"}, "server": {system, "data.x"}, "subresource": {part, "type"},
	} {
		set := tt.strategy.GetResetFields()["v1"]
		if set == nil || set.Size() != 2 || !strings.Contains(set.String(), tt.want) || !strings.Contains(set.String(), logicalcluster.AnnotationKey) {
			t.Errorf("%s: got %v", name, set)
		}
	}
	lease := &Kind[corev1.Secret, *corev1.Secret]{Version: "v1", Resource: schema.GroupResource{Group: "example.com"}}
	if got := lease.apiVersion(); got != "example.com/v1" {
		t.Errorf("got %s", got)
	}
}

func TestKind_Attributes(t *testing.T) {
	t.Parallel()
	kind := secretKind()
	labels, got, err := kind.attributes(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", Labels: map[string]string{"l": "v"}}, Type: "t"})
	if want := "metadata.name=x,metadata.namespace=a,type=t"; err != nil || got.String() != want || labels["l"] != "v" {
		t.Errorf("got %v %v %v, want %s", labels, got, err, want)
	}
	kind.ClusterScoped, kind.Fields = true, nil
	if _, got, err = kind.attributes(secret(nil)); err != nil || got.String() != "metadata.name=x" {
		t.Errorf("got %v %v", got, err)
	}
	if _, _, err = kind.attributes(&corev1.ConfigMap{}); err == nil {
		t.Error("another kind is not refused")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	kind := secretKind()
	kind.Columns = []metav1.TableColumnDefinition{NameColumn()}
	kind.Row = func(s *corev1.Secret) []any { return []any{s.Name} }
	two := int64(2)
	list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "c", RemainingItemCount: &two}, Items: []corev1.Secret{*secret(nil), *secret(nil)}}
	table, err := kind.table().ConvertToTable(t.Context(), list, nil)
	if err != nil || len(table.Rows) != 2 || table.Rows[1].Cells[0] != "x" || table.Rows[0].Object.Object == nil ||
		table.ResourceVersion != "7" || table.Continue != "c" || *table.RemainingItemCount != 2 || len(table.ColumnDefinitions) != 1 {
		t.Errorf("got %+v, %v", table, err)
	}
	table, err = kind.table().ConvertToTable(t.Context(), secret(nil), &metav1.TableOptions{NoHeaders: true})
	if err != nil || len(table.Rows) != 1 || table.ResourceVersion != "1" || len(table.ColumnDefinitions) != 0 {
		t.Errorf("got %+v, %v", table, err)
	}
	if _, err := kind.table().ConvertToTable(t.Context(), &corev1.ConfigMap{}, nil); err == nil {
		t.Error("another kind is not refused")
	}
	kind.Row = nil
	if table, err := kind.table().ConvertToTable(t.Context(), secret(nil), nil); err != nil || len(table.ColumnDefinitions) != 2 {
		t.Errorf("got %+v, %v", table, err)
	}
}
