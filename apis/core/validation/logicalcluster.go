package validation

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/apis/rule"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

var singleton = rule.Matching(regexp.MustCompile("^"+corev1alpha1.LogicalClusterName+"$"), corev1alpha1.LogicalClusterName)

// initializerNameExp matches the part after the cluster in the name of an initializer or terminator.
var initializerNameExp = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// ValidateLogicalCluster returns what is wrong with a new LogicalCluster.
func ValidateLogicalCluster(lc *corev1alpha1.LogicalCluster) field.ErrorList {
	errs := append(rule.ObjectMeta(&lc.ObjectMeta, singleton), limits.Validate(lc.Annotations)...)
	errs = append(errs, inheritance.Validate(lc.Annotations, true)...)
	spec := field.NewPath("spec")
	if owner := lc.Spec.Owner; owner != nil {
		at := spec.Child("owner")
		errs = append(errs, rule.Required(owner.APIVersion, at.Child("apiVersion"))...)
		errs = append(errs, rule.Required(owner.Resource, at.Child("resource"))...)
		errs = append(errs, rule.Required(owner.Name, at.Child("name"))...)
		errs = append(errs, rule.Required(owner.Cluster, at.Child("cluster"))...)
		errs = append(errs, rule.ClusterName(owner.Cluster, at.Child("cluster"))...)
		errs = append(errs, rule.Required(string(owner.UID), at.Child("uid"))...)
	}
	errs = append(errs, ValidateInitializers(lc.Spec.Initializers, spec.Child("initializers"))...)
	errs = append(errs, ValidateTerminators(lc.Spec.Terminators, spec.Child("terminators"))...)
	return errs
}

// ValidateLogicalClusterUpdate returns what is wrong with the change of a LogicalCluster from old to lc.
func ValidateLogicalClusterUpdate(lc, old *corev1alpha1.LogicalCluster) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&lc.ObjectMeta, &old.ObjectMeta), ValidateLogicalCluster(lc)...)
}

// ValidateLogicalClusterStatusUpdate returns what is wrong with the change of the status of a LogicalCluster from old to lc.
func ValidateLogicalClusterStatusUpdate(lc, old *corev1alpha1.LogicalCluster) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&lc.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.URL(lc.Status.URL, status.Child("URL"))...)
	errs = append(errs, validateStep(lc.Status.Phase, lifecycle.CheckCluster(lc, old), status.Child("phase"))...)
	errs = append(errs, rule.Conditions(lc.Status.Conditions, status.Child("conditions"))...)
	errs = append(errs, ValidateInitializers(lc.Status.Initializers, status.Child("initializers"))...)
	errs = append(errs, ValidateTerminators(lc.Status.Terminators, status.Child("terminators"))...)
	return errs
}

// ValidateWorkspaceStep returns what is wrong with the phase of a Workspace that was old before.
func ValidateWorkspaceStep(ws, old *tenancyv1alpha1.Workspace, path *field.Path) field.ErrorList {
	return validateStep(ws.Status.Phase, lifecycle.CheckWorkspace(ws, old), path)
}

// validateStep returns what is wrong with a phase; fault is that of the step that leads to it.
func validateStep(phase corev1alpha1.LogicalClusterPhaseType, fault error, path *field.Path) field.ErrorList {
	errs := ValidatePhase(phase, path)
	if len(errs) == 0 && fault != nil {
		errs = append(errs, field.Invalid(path, phase, fault.Error()))
	}
	return errs
}

// ValidatePhase checks the phase of a LogicalCluster or Workspace; empty is fine.
func ValidatePhase(phase corev1alpha1.LogicalClusterPhaseType, path *field.Path) field.ErrorList {
	return rule.OneOf(phase, path,
		corev1alpha1.LogicalClusterPhaseScheduling, corev1alpha1.LogicalClusterPhaseInitializing, corev1alpha1.LogicalClusterPhaseReady,
		corev1alpha1.LogicalClusterPhaseUnavailable, corev1alpha1.LogicalClusterPhaseInactive,
		corev1alpha1.LogicalClusterPhaseTerminating, corev1alpha1.LogicalClusterPhaseDeleting)
}

// ValidateInitializers checks the names of initializers.
func ValidateInitializers(names []corev1alpha1.LogicalClusterInitializer, path *field.Path) field.ErrorList {
	return validateOwners(names, path)
}

// ValidateTerminators checks the names of terminators.
func ValidateTerminators(names []corev1alpha1.LogicalClusterTerminator, path *field.Path) field.ErrorList {
	return validateOwners(names, path)
}

// validateOwners checks names of the form path:name or system:name, each of which is allowed once.
func validateOwners[T ~string](names []T, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[T]bool{}
	for i, name := range names {
		if seen[name] {
			errs = append(errs, field.Duplicate(path.Index(i), name))
		}
		seen[name] = true
		if err := parseOwner(string(name)); err != nil {
			errs = append(errs, field.Invalid(path.Index(i), name, err.Error()))
		}
	}
	return errs
}

func parseOwner(s string) error {
	i := strings.LastIndex(s, logicalcluster.Separator)
	if i < 0 || !initializerNameExp.MatchString(s[i+1:]) {
		return fmt.Errorf("must be the path of a workspace and the name of a workspace type, or system and a name, joined by %q", logicalcluster.Separator)
	}
	if s[:i] == "system" {
		return nil
	}
	if s[:i] == logicalcluster.Wildcard.String() {
		return fmt.Errorf("must name one workspace")
	}
	_, err := logicalcluster.ParsePath(s[:i])
	return err
}
