package validation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/rule"
)

var (
	claimedResourceExp = regexp.MustCompile(`^[a-z][-a-z0-9]*[a-z0-9]$`)
	identityHashExp    = regexp.MustCompile(`^[-A-Za-z0-9._]{1,128}$`)
	claimVerbExp       = regexp.MustCompile(`^[a-z]+$`)
)

// oneSelector is what every selector of a claim must be.
const oneSelector = "must have exactly one of matchAll: true, and matchLabels or matchExpressions"

// MissingIdentityHash returns the fault of a claim on a resource that not every workspace has, and whose export is not named; nil for
// any other claim. The server answers it with Forbidden, as kcp does.
func MissingIdentityHash(claim *apisv1alpha2.PermissionClaim, path *field.Path) *field.Error {
	if claim.IdentityHash != "" || claim.Group == apisv1alpha2.GroupName || claims.SupportOf(claim.GroupResource) != claims.Unclaimable {
		return nil
	}
	return field.Required(path.Child("identityHash"), fmt.Sprintf("%s is not a resource of every workspace that can be claimed: the identity hash of the APIExport that it comes from is required",
		claims.KeyOf(claim)))
}

// validateExportClaims checks what an export claims.
func validateExportClaims(export *apisv1alpha2.APIExport, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[apisv1alpha2.GroupResource]bool{}
	for i := range export.Spec.PermissionClaims {
		claim, at := &export.Spec.PermissionClaims[i], path.Index(i)
		errs = append(errs, validateClaim(claim, at)...)
		if fault := MissingIdentityHash(claim, at); fault != nil && claim.Resource != "" {
			errs = append(errs, fault)
		}
		if claim.DefaultSelector != nil {
			errs = append(errs, validateSelector(claim.DefaultSelector, at.Child("defaultSelector"))...)
		}
		if slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool {
			return r.Group == claim.Group && r.Name == claim.Resource
		}) {
			errs = append(errs, field.Invalid(at, claims.KeyOf(claim).String(), "the APIExport itself offers the resource, so it needs no claim"))
		}
		if seen[claim.GroupResource] {
			errs = append(errs, field.Duplicate(at, claims.KeyOf(claim).String()))
		}
		seen[claim.GroupResource] = true
	}
	return append(errs, validateOlderClaims(export.Annotations, path)...)
}

// validateAnswers checks how a binding answers claims.
func validateAnswers(binding *apisv1alpha2.APIBinding, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[claims.Key]bool{}
	for i := range binding.Spec.PermissionClaims {
		answer, at := &binding.Spec.PermissionClaims[i], path.Index(i)
		errs = append(errs, validateClaim(&answer.PermissionClaim, at)...)
		errs = append(errs, validateSelector(&answer.Selector, at.Child("selector"))...)
		if answer.DefaultSelector != nil {
			errs = append(errs, field.Forbidden(at.Child("defaultSelector"), "only claims of an APIExport have a default selector"))
		}
		errs = append(errs, rule.Required(string(answer.State), at.Child("state"))...)
		errs = append(errs, rule.OneOf(answer.State, at.Child("state"), apisv1alpha2.ClaimAccepted, apisv1alpha2.ClaimRejected)...)
		key := claims.KeyOf(&answer.PermissionClaim)
		if seen[key] {
			errs = append(errs, field.Duplicate(at, key.String()))
		}
		seen[key] = true
	}
	return append(errs, validateOlderClaims(binding.Annotations, path)...)
}

// validateAnswersUpdate checks that no selector of an answer changes.
func validateAnswersUpdate(binding, old *apisv1alpha2.APIBinding, path *field.Path) field.ErrorList {
	before := map[claims.Key]apisv1alpha2.PermissionClaimSelector{}
	for i := range old.Spec.PermissionClaims {
		before[claims.KeyOf(&old.Spec.PermissionClaims[i].PermissionClaim)] = old.Spec.PermissionClaims[i].Selector
	}
	var errs field.ErrorList
	for i := range binding.Spec.PermissionClaims {
		answer := &binding.Spec.PermissionClaims[i]
		if selector, ok := before[claims.KeyOf(&answer.PermissionClaim)]; ok && !apiequality.Semantic.DeepEqual(selector, answer.Selector) {
			errs = append(errs, field.Invalid(path.Index(i).Child("selector"), field.OmitValueType{},
				"permission claim selector must not be changed: remove the claim and add it again"))
		}
	}
	return errs
}

// validateClaim checks what a claim of an export and an answer to it have in common.
func validateClaim(claim *apisv1alpha2.PermissionClaim, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if claim.Group != "" {
		for _, msg := range validation.IsDNS1123Subdomain(claim.Group) {
			errs = append(errs, field.Invalid(path.Child("group"), claim.Group, msg))
		}
	}
	resource := path.Child("resource")
	switch {
	case claim.Resource == "":
		errs = append(errs, field.Required(resource, ""))
	case !claimedResourceExp.MatchString(claim.Resource):
		errs = append(errs, field.Invalid(resource, claim.Resource, validation.RegexError("must be the plural name of a resource", claimedResourceExp.String(), "widgets")))
	}
	switch support := claims.SupportOf(claim.GroupResource); {
	case claim.IdentityHash != "" && support != claims.Unclaimable:
		errs = append(errs, field.Invalid(path.Child("identityHash"), claim.IdentityHash, "must be empty for a resource of every workspace"))
	case claim.IdentityHash != "" && !identityHashExp.MatchString(claim.IdentityHash):
		errs = append(errs, field.Invalid(path.Child("identityHash"), claim.IdentityHash, wrongHash(claim.IdentityHash)))
	case claim.Group == apisv1alpha2.GroupName && support == claims.Unclaimable && claim.Resource != "":
		errs = append(errs, field.Invalid(resource, claim.Resource, "the group has no such resource"))
	}
	return append(errs, validateVerbs(claim.Verbs, path.Child("verbs"))...)
}

func validateVerbs(verbs []string, path *field.Path) field.ErrorList {
	if len(verbs) == 0 {
		return field.ErrorList{field.Required(path, "at least one verb is required; * is every verb")}
	}
	var errs field.ErrorList
	for i, verb := range verbs {
		if verb != claims.AllVerbs && !claimVerbExp.MatchString(verb) {
			errs = append(errs, field.Invalid(path.Index(i), verb, "must be a verb, such as get, or *"))
		}
		if slices.Contains(verbs[:i], verb) {
			errs = append(errs, field.Duplicate(path.Index(i), verb))
		}
	}
	return errs
}

// validateSelector checks that a selector says exactly one thing.
func validateSelector(selector *apisv1alpha2.PermissionClaimSelector, path *field.Path) field.ErrorList {
	some := len(selector.MatchLabels) > 0 || len(selector.MatchExpressions) > 0
	if some == selector.MatchAll {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, oneSelector)}
	}
	if !some {
		return nil
	}
	errs := rule.Selector(&selector.LabelSelector, path)
	if len(errs) == 0 {
		if _, err := metav1.LabelSelectorAsSelector(&selector.LabelSelector); err != nil {
			errs = append(errs, field.Invalid(path, field.OmitValueType{}, err.Error()))
		}
	}
	return errs
}

// validateOlderClaims checks what only claims in v1alpha1 can say. Conversion keeps them in an annotation if they say anything but all.
func validateOlderClaims(annotations map[string]string, path *field.Path) field.ErrorList {
	kept, ok := annotations[apisv1alpha1.V1Alpha1PermissionClaimsAnnotation]
	if !ok {
		return nil
	}
	var older []apisv1alpha1.PermissionClaim
	if err := json.Unmarshal([]byte(kept), &older); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("metadata", "annotations").Key(apisv1alpha1.V1Alpha1PermissionClaimsAnnotation), field.OmitValueType{}, "is set by the server alone")}
	}
	var errs field.ErrorList
	for i, claim := range older {
		if claim.All == (len(claim.ResourceSelector) > 0) {
			errs = append(errs, field.Invalid(path.Index(i), field.OmitValueType{}, "must have either all: true or a resourceSelector"))
		}
	}
	return errs
}
