package claims

import (
	"cmp"
	"slices"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Key identifies a claim within an APIExport or an APIBinding.
type Key struct{ Group, Resource, IdentityHash string }

// KeyOf returns the key of a claim.
func KeyOf(claim *apisv1alpha2.PermissionClaim) Key {
	return Key{claim.Group, claim.Resource, claim.IdentityHash}
}

// String returns, for example, secrets, or widgets.example.com:0a1b2c.
func (k Key) String() string {
	name := k.Resource
	if k.Group != "" {
		name += "." + k.Group
	}
	if k.IdentityHash != "" {
		name += ":" + k.IdentityHash
	}
	return name
}

func compare(a, b apisv1alpha2.GroupResource) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource))
}

// Of returns the claims of an export that concern objects of a resource. Usually there is one at most. A resource that is its own and
// that of another export can be claimed twice.
func Of(export *apisv1alpha2.APIExport, gr apisv1alpha2.GroupResource) []*apisv1alpha2.PermissionClaim {
	var found []*apisv1alpha2.PermissionClaim
	for _, same := range Equivalent(gr) {
		for i := range export.Spec.PermissionClaims {
			if claim := &export.Spec.PermissionClaims[i]; claim.GroupResource == same {
				found = append(found, claim)
			}
		}
	}
	return found
}

// Met is what becomes of the claims of an export in one binding.
type Met struct {
	// Applied are the claims that are in effect, with the verbs on which both agree, in the order of the export.
	Applied []apisv1alpha2.ScopedPermissionClaim
	// Open are those that the binding neither accepts nor rejects.
	Open []Key
	// Unknown are those that the binding accepts although the export does not make them.
	Unknown []Key
}

// Meet compares what the export claims with what the binding answers. Neither is changed.
func Meet(claimed []apisv1alpha2.PermissionClaim, answers []apisv1alpha2.AcceptablePermissionClaim) Met {
	var met Met
	for i := range claimed {
		key := KeyOf(&claimed[i])
		at := slices.IndexFunc(answers, func(a apisv1alpha2.AcceptablePermissionClaim) bool { return KeyOf(&a.PermissionClaim) == key })
		switch {
		case at < 0:
			met.Open = append(met.Open, key)
		case answers[at].State == apisv1alpha2.ClaimAccepted:
			if verbs := Intersect(claimed[i].Verbs, answers[at].Verbs); len(verbs) > 0 {
				applied := *answers[at].ScopedPermissionClaim.DeepCopy()
				applied.Verbs, applied.DefaultSelector = verbs, claimed[i].DefaultSelector.DeepCopy()
				met.Applied = append(met.Applied, applied)
			}
		}
	}
	for i := range answers {
		key := KeyOf(&answers[i].PermissionClaim)
		if answers[i].State == apisv1alpha2.ClaimAccepted && !slices.ContainsFunc(claimed, func(c apisv1alpha2.PermissionClaim) bool { return KeyOf(&c) == key }) {
			met.Unknown = append(met.Unknown, key)
		}
	}
	return met
}
