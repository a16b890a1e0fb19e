package kinds

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/operation"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// secretKind notes in annotations which functions ran, in order.
func secretKind() *Kind[corev1.Secret, *corev1.Secret] {
	note := func(secret *corev1.Secret, what string) {
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations["ran"] += what + " "
	}
	fail := func(secret *corev1.Secret, what string) field.ErrorList {
		if secret.Labels["fail"] == what {
			return field.ErrorList{field.Invalid(field.NewPath("data"), nil, what)}
		}
		return nil
	}
	return &Kind[corev1.Secret, *corev1.Secret]{
		Fields:         func(secret *corev1.Secret) fields.Set { return fields.Set{"type": string(secret.Type)} },
		Prepare:        func(secret, _ *corev1.Secret) { note(secret, "prepare") },
		PrepareForUser: func(_ context.Context, secret, _ *corev1.Secret) { note(secret, "user") },
		Canonicalize:   func(secret *corev1.Secret) { note(secret, "canonicalize") },
		Name:           apimachineryvalidation.NameIsDNSLabel,
		Validate:       func(secret *corev1.Secret) field.ErrorList { return fail(secret, "always") },
		ValidateCreate: func(secret *corev1.Secret) field.ErrorList { return fail(secret, "create") },
		ValidateUpdate: func(secret, _ *corev1.Secret) field.ErrorList {
			return fail(secret, "update")
		},
		ValidateRequest: func(_ context.Context, secret, old *corev1.Secret) field.ErrorList {
			if old == nil {
				return fail(secret, "create-by-request")
			}
			return fail(secret, "update-by-request")
		},
		Parts: []Part[*corev1.Secret]{{
			Name:           "part",
			Keep:           func(secret, _ *corev1.Secret) { note(secret, "keep") },
			Reset:          [][]any{{"type"}},
			ValidateUpdate: func(secret, _ *corev1.Secret) field.ErrorList { return fail(secret, "part") },
		}},
	}
}

func strategies(t *testing.T, kind *Kind[corev1.Secret, *corev1.Secret]) (user *strategy[corev1.Secret, *corev1.Secret], system *systemStrategy[corev1.Secret, *corev1.Secret], part *partStrategy[corev1.Secret, *corev1.Secret]) {
	t.Helper()
	user, err := newStrategy(kind, All.NewScheme())
	if err != nil {
		t.Fatal(err)
	}
	return user, &systemStrategy[corev1.Secret, *corev1.Secret]{*user}, &partStrategy[corev1.Secret, *corev1.Secret]{strategy: *user, part: kind.Parts[0]}
}

func secret(labels map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: "x", UID: "u", ResourceVersion: "1", Labels: labels, CreationTimestamp: metav1.Now(),
		Annotations: map[string]string{logicalcluster.AnnotationKey: "forged"},
	}}
}

func TestStrategies_Prepare(t *testing.T) {
	t.Parallel()
	user, system, part := strategies(t, secretKind())
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
	user, system, part := strategies(t, secretKind())
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

		"create-by-request": {"server creates", "user creates"},
		"update-by-request": {"server updates", "user updates"},
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
	user, system, part := strategies(t, secretKind())
	quotas, err := newStrategy(&Kind[corev1.ResourceQuota, *corev1.ResourceQuota]{}, All.NewScheme())
	if err != nil {
		t.Fatal(err)
	}
	exports, err := newStrategy(&Kind[apisv1alpha2.APIExport, *apisv1alpha2.APIExport]{}, All.NewScheme())
	if err != nil {
		t.Fatal(err)
	}
	status := &partStrategy[apisv1alpha2.APIExport, *apisv1alpha2.APIExport]{strategy: *exports, part: exports.parts()[0]}
	for name, tt := range map[string]struct {
		strategy rest.ResetFieldsStrategy
		versions []fieldpath.APIVersion
		want     []string // beside the annotation
	}{
		"user":                 {user, []fieldpath.APIVersion{"v1"}, nil},
		"server":               {system, []fieldpath.APIVersion{"v1"}, nil},
		"subresource":          {part, []fieldpath.APIVersion{"v1"}, []string{"type"}},
		"a kind with a status": {quotas, []fieldpath.APIVersion{"v1"}, []string{"status"}},
		"two versions":         {exports, []fieldpath.APIVersion{"apis.kcp.io/v1alpha1", "apis.kcp.io/v1alpha2"}, []string{"status"}},
		"the status leaves spec and metadata as is": {status, []fieldpath.APIVersion{"apis.kcp.io/v1alpha1", "apis.kcp.io/v1alpha2"}, []string{"spec", "metadata"}},
	} {
		reset := tt.strategy.GetResetFields()
		if got := slices.Sorted(maps.Keys(reset)); !slices.Equal(got, tt.versions) {
			t.Errorf("%s: versions %v, want %v", name, got, tt.versions)
		}
		for version, set := range reset {
			if set.Size() != 1+len(tt.want) || !set.Has(fieldpath.MakePathOrDie("metadata", "annotations", logicalcluster.AnnotationKey)) {
				t.Errorf("%s in %s: got %v", name, version, set)
			}
			for _, path := range tt.want {
				if !set.Has(fieldpath.MakePathOrDie(path)) {
					t.Errorf("%s in %s: got %v, want %s in it", name, version, set, path)
				}
			}
		}
	}
}

func TestNewStrategy_NeedsARowThatFits(t *testing.T) {
	t.Parallel()
	if _, err := newStrategy(&Kind[corev1.Pod, *corev1.Pod]{}, All.NewScheme()); err == nil {
		t.Error("a kind without a row is not refused")
	}
	statusOfSecrets := NewTable(Group{Rows: []Row{{Resource: "secrets", Versions: []string{"v1"}, Object: &corev1.Secret{}, MediaType: runtime.ContentTypeJSON}}})
	if _, err := newStrategy(secretKind(), &Scheme{table: statusOfSecrets}); err == nil {
		t.Error("a row that speaks of a status that the kind lacks is not refused")
	}
}

func TestKind_Attributes(t *testing.T) {
	t.Parallel()
	user, _, _ := strategies(t, secretKind())
	labels, got, err := user.attributes(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", Labels: map[string]string{"l": "v"}}, Type: "t"})
	if want := "metadata.name=x,metadata.namespace=a,type=t"; err != nil || got.String() != want || labels["l"] != "v" {
		t.Errorf("got %v %v %v, want %s", labels, got, err, want)
	}
	row := *user.row
	row.Namespaced = false
	user.row, user.kind.Fields = &row, nil
	if _, got, err = user.attributes(secret(nil)); err != nil || got.String() != "metadata.name=x" {
		t.Errorf("got %v %v", got, err)
	}
	if _, _, err = user.attributes(&corev1.ConfigMap{}); err == nil {
		t.Error("another kind is not refused")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	kind, row := secretKind(), &Row{Resource: "secrets"}
	convert := func(object, options runtime.Object) (*metav1.Table, error) {
		convertor, err := kind.table(row)
		if err != nil {
			t.Fatal(err)
		}
		return convertor.ConvertToTable(t.Context(), object, options)
	}
	kind.Columns = []metav1.TableColumnDefinition{NameColumn()}
	kind.Cells = func(s *corev1.Secret) []any { return []any{s.Name} }
	two := int64(2)
	list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "c", RemainingItemCount: &two}, Items: []corev1.Secret{*secret(nil), *secret(nil)}}
	table, err := convert(list, nil)
	if err != nil || len(table.Rows) != 2 || table.Rows[1].Cells[0] != "x" || table.Rows[0].Object.Object == nil ||
		table.ResourceVersion != "7" || table.Continue != "c" || *table.RemainingItemCount != 2 || len(table.ColumnDefinitions) != 1 {
		t.Errorf("got %+v, %v", table, err)
	}
	table, err = convert(secret(nil), &metav1.TableOptions{NoHeaders: true})
	if err != nil || len(table.Rows) != 1 || table.ResourceVersion != "1" || len(table.ColumnDefinitions) != 0 {
		t.Errorf("got %+v, %v", table, err)
	}
	if _, err := convert(&corev1.ConfigMap{}, nil); err == nil {
		t.Error("another kind is not refused")
	}
	kind.Cells = nil
	if table, err := convert(secret(nil), nil); err != nil || len(table.ColumnDefinitions) != 2 {
		t.Errorf("got %+v, %v", table, err)
	}
	row.Columns = columns{{Name: "Type", Type: "string", JSONPath: ".type"}, age}
	if table, err := convert(secret(nil), nil); err != nil || len(table.ColumnDefinitions) != 3 || table.ColumnDefinitions[1].Name != "Type" {
		t.Errorf("got %+v, %v", table, err)
	}
}

// Columns that are paths show what the stock convertor shows, and the objects of the rows are those that were given, managed fields included.
func TestNewColumns(t *testing.T) {
	t.Parallel()
	defined := columns{{Name: "Type", Type: "string", JSONPath: ".type"}, {Name: "Owner", Type: "string", JSONPath: ".metadata.labels.owner"}, age}
	ours, err := NewColumns(defined)
	if err != nil {
		t.Fatal(err)
	}
	stock, err := tableconvertor.New(defined)
	if err != nil {
		t.Fatal(err)
	}
	object := func(name string) corev1.Secret {
		return corev1.Secret{Type: "t", ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"owner": "o"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1(`{"f:type":{}}`)}}}}
	}
	one := object("a")
	list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "c"}, Items: []corev1.Secret{object("a"), object("b")}}
	for _, given := range []runtime.Object{&one, list, &corev1.SecretList{}} {
		before := given.DeepCopyObject()
		got, err := ours.ConvertToTable(t.Context(), given, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := stock.ConvertToTable(t.Context(), given, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T (-stock +ours):\n%s", given, diff)
		}
		if diff := cmp.Diff(before, given); diff != "" {
			t.Errorf("%T was changed:\n%s", given, diff)
		}
	}
	if _, err := NewColumns(columns{{Name: "Broken", JSONPath: "{["}}); err == nil {
		t.Error("a path that cannot be parsed is not refused")
	}
}

// A stock server reports once what both the check of all metadata and that of a kind find.
func TestStrategies_ReportAnErrorOnce(t *testing.T) {
	t.Parallel()
	path := field.NewPath("metadata", "uid")
	errs := field.ErrorList{field.Invalid(path, "x", "field is immutable"), field.Required(path, ""), field.Invalid(path, "x", "field is immutable")}
	s := &partStrategy[corev1.ConfigMap, *corev1.ConfigMap]{}
	if got := s.ValidateDeclaratively(t.Context(), nil, nil, errs, operation.Update, rest.DeclarativeValidationConfig{}); len(got) != 2 || got[0] != errs[0] || got[1] != errs[1] {
		t.Errorf("got %v", got)
	}
	if got := s.ValidateDeclaratively(t.Context(), nil, nil, nil, operation.Update, rest.DeclarativeValidationConfig{}); len(got) != 0 {
		t.Errorf("got %v of nothing", got)
	}
}
