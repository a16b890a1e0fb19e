//nolint:revive,staticcheck // the generators find functions by names with underscores
package v1alpha1

import (
	"k8s.io/apimachinery/pkg/conversion"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// allVerbs returns the verbs of a v1alpha1 claim. v1alpha1 has no verbs, so it requests all of them.
func allVerbs() []string { return []string{"*"} }

// claimKey identifies a claim: two claims with the same key are the same claim.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type claimKey struct{ group, resource, identityHash string }

func keyOf(c PermissionClaim) claimKey { return claimKey{c.Group, c.Resource, c.IdentityHash} }

func keyOfV2(c apisv1alpha2.PermissionClaim) claimKey {
	return claimKey{c.Group, c.Resource, c.IdentityHash}
}

func claimToV2(in PermissionClaim) apisv1alpha2.PermissionClaim {
	return apisv1alpha2.PermissionClaim{
		GroupResource: apisv1alpha2.GroupResource{Group: in.Group, Resource: in.Resource},
		Verbs:         allVerbs(),
		IdentityHash:  in.IdentityHash,
	}
}

func claimToV1(in apisv1alpha2.PermissionClaim) PermissionClaim {
	return PermissionClaim{
		GroupResource: GroupResource{Group: in.Group, Resource: in.Resource},
		All:           true,
		IdentityHash:  in.IdentityHash,
	}
}

func scopedToV2(in PermissionClaim) apisv1alpha2.ScopedPermissionClaim {
	return apisv1alpha2.ScopedPermissionClaim{PermissionClaim: claimToV2(in), Selector: apisv1alpha2.PermissionClaimSelector{MatchAll: true}}
}

func scopedToV1(in apisv1alpha2.ScopedPermissionClaim) PermissionClaim {
	return claimToV1(in.PermissionClaim)
}

func acceptableToV2(in AcceptablePermissionClaim) apisv1alpha2.AcceptablePermissionClaim {
	return apisv1alpha2.AcceptablePermissionClaim{
		ScopedPermissionClaim: scopedToV2(in.PermissionClaim),
		State:                 apisv1alpha2.AcceptablePermissionClaimState(in.State),
	}
}

func acceptableToV1(in apisv1alpha2.AcceptablePermissionClaim) AcceptablePermissionClaim {
	return AcceptablePermissionClaim{PermissionClaim: scopedToV1(in.ScopedPermissionClaim), State: AcceptablePermissionClaimState(in.State)}
}

func takeClaim(to *PermissionClaim, kept PermissionClaim) {
	to.All, to.ResourceSelector = kept.All, kept.ResourceSelector
}

func takeClaimV2(to *apisv1alpha2.PermissionClaim, kept apisv1alpha2.PermissionClaim) {
	to.Verbs, to.DefaultSelector = kept.Verbs, kept.DefaultSelector
}

func takeScopedV2(to *apisv1alpha2.ScopedPermissionClaim, kept apisv1alpha2.ScopedPermissionClaim) {
	takeClaimV2(&to.PermissionClaim, kept.PermissionClaim)
	to.Selector = kept.Selector
}

// claimsToV2 converts the claims of an APIExport or the copy of them in an APIBinding.
func claimsToV2(keepKey, takeKey string) listConversion[PermissionClaim, apisv1alpha2.PermissionClaim] {
	return listConversion[PermissionClaim, apisv1alpha2.PermissionClaim]{
		to: each(claimToV2), back: each(claimToV1), merge: mergeByKey(keyOfV2, takeClaimV2), keepKey: keepKey, takeKey: takeKey,
	}
}

func claimsToV1(keepKey, takeKey string) listConversion[apisv1alpha2.PermissionClaim, PermissionClaim] {
	return listConversion[apisv1alpha2.PermissionClaim, PermissionClaim]{
		to: each(claimToV1), back: each(claimToV2), merge: mergeByKey(keyOf, takeClaim), keepKey: keepKey, takeKey: takeKey,
	}
}

// scopedClaimsToV2 converts the claims that are in effect.
func scopedClaimsToV2(keepKey, takeKey string) listConversion[PermissionClaim, apisv1alpha2.ScopedPermissionClaim] {
	return listConversion[PermissionClaim, apisv1alpha2.ScopedPermissionClaim]{
		to: each(scopedToV2), back: each(scopedToV1), keepKey: keepKey, takeKey: takeKey,
		merge: mergeByKey(func(c apisv1alpha2.ScopedPermissionClaim) claimKey { return keyOfV2(c.PermissionClaim) }, takeScopedV2),
	}
}

func scopedClaimsToV1(keepKey, takeKey string) listConversion[apisv1alpha2.ScopedPermissionClaim, PermissionClaim] {
	return listConversion[apisv1alpha2.ScopedPermissionClaim, PermissionClaim]{
		to: each(scopedToV1), back: each(scopedToV2), merge: mergeByKey(keyOf, takeClaim), keepKey: keepKey, takeKey: takeKey,
	}
}

// acceptableClaimsToV2 converts the accepted and rejected claims of an APIBinding.
func acceptableClaimsToV2(keepKey, takeKey string) listConversion[AcceptablePermissionClaim, apisv1alpha2.AcceptablePermissionClaim] {
	return listConversion[AcceptablePermissionClaim, apisv1alpha2.AcceptablePermissionClaim]{
		to: each(acceptableToV2), back: each(acceptableToV1), keepKey: keepKey, takeKey: takeKey,
		merge: mergeByKey(func(c apisv1alpha2.AcceptablePermissionClaim) claimKey { return keyOfV2(c.PermissionClaim) },
			func(to *apisv1alpha2.AcceptablePermissionClaim, kept apisv1alpha2.AcceptablePermissionClaim) {
				takeScopedV2(&to.ScopedPermissionClaim, kept.ScopedPermissionClaim)
			}),
	}
}

func acceptableClaimsToV1(keepKey, takeKey string) listConversion[apisv1alpha2.AcceptablePermissionClaim, AcceptablePermissionClaim] {
	return listConversion[apisv1alpha2.AcceptablePermissionClaim, AcceptablePermissionClaim]{
		to: each(acceptableToV1), back: each(acceptableToV2), keepKey: keepKey, takeKey: takeKey,
		merge: mergeByKey(func(c AcceptablePermissionClaim) claimKey { return keyOf(c.PermissionClaim) },
			func(to *AcceptablePermissionClaim, kept AcceptablePermissionClaim) {
				takeClaim(&to.PermissionClaim, kept.PermissionClaim)
			}),
	}
}

// The functions below are for the generated conversion of the structs around them. They convert one claim as far as the
// other version can express it. The rest is kept one level up, in the annotations.

// Convert_v1alpha1_PermissionClaim_To_v1alpha2_PermissionClaim gives every verb.
func Convert_v1alpha1_PermissionClaim_To_v1alpha2_PermissionClaim(in *PermissionClaim, out *apisv1alpha2.PermissionClaim, _ conversion.Scope) error {
	*out = claimToV2(*in)
	return nil
}

// Convert_v1alpha2_PermissionClaim_To_v1alpha1_PermissionClaim asks for all objects.
func Convert_v1alpha2_PermissionClaim_To_v1alpha1_PermissionClaim(in *apisv1alpha2.PermissionClaim, out *PermissionClaim, _ conversion.Scope) error {
	*out = claimToV1(*in)
	return nil
}

// Convert_v1alpha1_PermissionClaim_To_v1alpha2_ScopedPermissionClaim gives every verb on all objects.
func Convert_v1alpha1_PermissionClaim_To_v1alpha2_ScopedPermissionClaim(in *PermissionClaim, out *apisv1alpha2.ScopedPermissionClaim, _ conversion.Scope) error {
	*out = scopedToV2(*in)
	return nil
}

// Convert_v1alpha2_ScopedPermissionClaim_To_v1alpha1_PermissionClaim asks for all objects.
func Convert_v1alpha2_ScopedPermissionClaim_To_v1alpha1_PermissionClaim(in *apisv1alpha2.ScopedPermissionClaim, out *PermissionClaim, _ conversion.Scope) error {
	*out = scopedToV1(*in)
	return nil
}

// Convert_v1alpha1_AcceptablePermissionClaim_To_v1alpha2_AcceptablePermissionClaim gives every verb on all objects.
func Convert_v1alpha1_AcceptablePermissionClaim_To_v1alpha2_AcceptablePermissionClaim(in *AcceptablePermissionClaim, out *apisv1alpha2.AcceptablePermissionClaim, _ conversion.Scope) error {
	*out = acceptableToV2(*in)
	return nil
}

// Convert_v1alpha2_AcceptablePermissionClaim_To_v1alpha1_AcceptablePermissionClaim asks for all objects.
func Convert_v1alpha2_AcceptablePermissionClaim_To_v1alpha1_AcceptablePermissionClaim(in *apisv1alpha2.AcceptablePermissionClaim, out *AcceptablePermissionClaim, _ conversion.Scope) error {
	*out = acceptableToV1(*in)
	return nil
}
