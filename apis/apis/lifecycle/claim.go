package lifecycle

import (
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/machine"
)

// ClaimState is a state of a permission claim in one binding.
type ClaimState string

// The states; see the documentation of the package.
const (
	Unclaimed ClaimState = "Unclaimed"
	Open      ClaimState = "Open"
	Rejected  ClaimState = "Rejected"
	Accepted  ClaimState = "Accepted"
	Applied   ClaimState = "Applied"
	Stale     ClaimState = "Stale"
	Unknown   ClaimState = "Unknown"
)

var (
	// byServer are the steps of the controller of APIBindings. It changes no answer, and leaves nothing Stale.
	byServer = machine.Steps[ClaimState]{
		Unclaimed: {Open, Rejected},
		Open:      {Unclaimed},
		Rejected:  {Unclaimed},
		Accepted:  {Applied, Unknown},
		Applied:   {Accepted, Unknown},
		Stale:     {Unclaimed, Open, Rejected, Accepted, Applied, Unknown},
		Unknown:   {Accepted, Applied},
	}
	// byConsumer are the steps of those who answer claims: users, and the server for default bindings. They write no status.
	byConsumer = machine.Steps[ClaimState]{
		Unclaimed: {Unknown},
		Open:      {Rejected, Accepted},
		Rejected:  {Open, Accepted},
		Accepted:  {Open, Rejected},
		Applied:   {Stale},
		Stale:     {Applied},
		Unknown:   {Unclaimed},
	}
)

// OfClaim returns the state of the claim called key in an APIBinding.
func OfClaim(b *apisv1alpha2.APIBinding, key claims.Key) ClaimState {
	asked, answer, applied := claimAsked(b, key), claimAnswer(b, key), claimApplied(b, key)
	accepted := answer != nil && answer.State == apisv1alpha2.ClaimAccepted
	switch {
	case applied != nil && asked != nil && accepted && isWithin(applied, asked, answer):
		return Applied
	case applied != nil:
		return Stale
	case asked == nil && accepted:
		return Unknown
	case asked == nil:
		return Unclaimed
	case answer == nil:
		return Open
	case accepted:
		return Accepted
	}
	return Rejected
}

// CheckClaims returns a *machine.Fault if the state machine of claims has no step from old to updated, for any claim. It is the server's step if the
// answers are the same, and else that of the consumer.
func CheckClaims(updated, old *apisv1alpha2.APIBinding) error {
	server := apiequality.Semantic.DeepEqual(updated.Spec.PermissionClaims, old.Spec.PermissionClaims)
	for _, key := range claimsOf(updated, old) {
		of, from, to := "the claim "+key.String()+" of an APIBinding", OfClaim(old, key), OfClaim(updated, key)
		table := byConsumer
		if server {
			table = byServer
		}
		if err := table.Check(of, from, to); err != nil {
			return err
		}
		if server && to == Stale && !sameClaims(updated, old) {
			return machine.Faultf(of, from, "the status says that something is applied which the consumer does not accept")
		}
	}
	return nil
}

// sameClaims reports whether the status says the same about all claims.
func sameClaims(a, b *apisv1alpha2.APIBinding) bool {
	return apiequality.Semantic.DeepEqual(a.Status.ExportPermissionClaims, b.Status.ExportPermissionClaims) &&
		apiequality.Semantic.DeepEqual(a.Status.AppliedPermissionClaims, b.Status.AppliedPermissionClaims)
}

// isWithin reports whether what is applied is no wider than what is asked for, and what is accepted.
func isWithin(applied *apisv1alpha2.ScopedPermissionClaim, asked *apisv1alpha2.PermissionClaim, answer *apisv1alpha2.AcceptablePermissionClaim) bool {
	return apiequality.Semantic.DeepEqual(applied.Selector, answer.Selector) && !slices.ContainsFunc(applied.Verbs, func(verb string) bool {
		return !claims.Allows(asked.Verbs, verb) || !claims.Allows(answer.Verbs, verb)
	})
}

func claimAsked(b *apisv1alpha2.APIBinding, key claims.Key) *apisv1alpha2.PermissionClaim {
	for i := range b.Status.ExportPermissionClaims {
		if asked := &b.Status.ExportPermissionClaims[i]; claims.KeyOf(asked) == key {
			return asked
		}
	}
	return nil
}

func claimAnswer(b *apisv1alpha2.APIBinding, key claims.Key) *apisv1alpha2.AcceptablePermissionClaim {
	for i := range b.Spec.PermissionClaims {
		if answer := &b.Spec.PermissionClaims[i]; claims.KeyOf(&answer.PermissionClaim) == key {
			return answer
		}
	}
	return nil
}

func claimApplied(b *apisv1alpha2.APIBinding, key claims.Key) *apisv1alpha2.ScopedPermissionClaim {
	for i := range b.Status.AppliedPermissionClaims {
		if applied := &b.Status.AppliedPermissionClaims[i]; claims.KeyOf(&applied.PermissionClaim) == key {
			return applied
		}
	}
	return nil
}

// claimsOf returns the keys of all claims that one of the bindings mentions, in the order in which they do.
func claimsOf(bindings ...*apisv1alpha2.APIBinding) []claims.Key {
	var keys []claims.Key
	add := func(claim *apisv1alpha2.PermissionClaim) {
		if key := claims.KeyOf(claim); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, b := range bindings {
		for i := range b.Status.ExportPermissionClaims {
			add(&b.Status.ExportPermissionClaims[i])
		}
		for i := range b.Spec.PermissionClaims {
			add(&b.Spec.PermissionClaims[i].PermissionClaim)
		}
		for i := range b.Status.AppliedPermissionClaims {
			add(&b.Status.AppliedPermissionClaims[i].PermissionClaim)
		}
	}
	return keys
}
