package core

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// guardNamespaces makes the deletion of namespaces take two steps, see namespaceREST.
func guardNamespaces(g *group.Group) {
	open := g.Versions[version]["namespaces"].(*kinds.REST)
	g.Versions[version]["namespaces"] = &namespaceREST{namespaceParts: open, store: open.Store}
	// A mistaken deletion through the system store must not delete a namespace that still has content.
	guarded := *g.System["namespaces"]
	guarded.Storage.Storage = &contentGuard{guarded.Storage.Storage}
	g.System["namespaces"] = &guarded
}

func namespaces() *kinds.Kind[corev1.Namespace, *corev1.Namespace] {
	return &kinds.Kind[corev1.Namespace, *corev1.Namespace]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			{Name: "Status", Type: "string", Description: "The status of the namespace"},
			kinds.AgeColumn(),
		},
		Cells: func(ns *corev1.Namespace) []any {
			return []any{ns.Name, string(ns.Status.Phase), kinds.Age(ns.CreationTimestamp)}
		},
		Fields: func(ns *corev1.Namespace) fields.Set {
			return fields.Set{"status.phase": string(ns.Status.Phase)}
		},
		ReturnDeleted:      true,
		NoGeneration:       true,
		StandardFinalizers: true,
		MetadataByStatus:   true,
		DeleteDuringUpdate: func(ns *corev1.Namespace) bool { return len(ns.Spec.Finalizers) == 0 },
		PrepareForUser: func(_ context.Context, ns, old *corev1.Namespace) {
			if old != nil {
				ns.Spec.Finalizers = old.Spec.Finalizers
			}
		},
		Prepare: func(ns, old *corev1.Namespace) {
			if old == nil && !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
				ns.Spec.Finalizers = append(slices.Clone(ns.Spec.Finalizers), corev1.FinalizerKubernetes)
			}
		},
		Name: apimachineryvalidation.ValidateNamespaceName,
		Validate: func(ns *corev1.Namespace) field.ErrorList {
			var errs field.ErrorList
			for _, finalizer := range ns.Spec.Finalizers {
				errs = append(errs, validateFinalizer(finalizer, field.NewPath("spec", "finalizers"))...)
			}
			return errs
		},
		// The defaults do not label an object with a generated name.
		Canonicalize: func(ns *corev1.Namespace) {
			if ns.Labels[corev1.LabelMetadataName] == ns.Name {
				return
			}
			labels := maps.Clone(ns.Labels)
			if labels == nil {
				labels = map[string]string{}
			}
			labels[corev1.LabelMetadataName] = ns.Name
			ns.Labels = labels
		},
		ValidateStatusUpdate: validateNamespaceStatus,
		Parts: []kinds.Part[*corev1.Namespace]{
			{
				Name:    "finalize",
				PutOnly: true,
				Keep:    func(ns, old *corev1.Namespace) { ns.Status = old.Status },
				Reset:   [][]any{{"status"}},
				ValidateUpdate: func(ns, _ *corev1.Namespace) field.ErrorList {
					var errs field.ErrorList
					for i, finalizer := range ns.Spec.Finalizers {
						errs = append(errs, validateFinalizer(finalizer, field.NewPath("spec", "finalizers").Index(i))...)
					}
					return errs
				},
			},
		},
	}
}

func validateNamespaceStatus(ns, _ *corev1.Namespace) field.ErrorList {
	want, message := corev1.NamespaceActive, "may only be 'Active' if `deletionTimestamp` is empty"
	if !ns.DeletionTimestamp.IsZero() {
		want, message = corev1.NamespaceTerminating, "may only be 'Terminating' if `deletionTimestamp` is not empty"
	}
	if ns.Status.Phase == want {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("status", "Phase"), ns.Status.Phase, message)}
}

func validateFinalizer(finalizer corev1.FinalizerName, path *field.Path) field.ErrorList {
	name := string(finalizer)
	return append(apimachineryvalidation.ValidateFinalizerName(name, path), kinds.ValidateStandardFinalizer(name, path)...)
}
