package claims

import (
	"errors"
	"fmt"
	"slices"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Flags are the answers for a new binding.
type Flags struct {
	Accept, Reject       []string
	AcceptAll, RejectAll bool
}

// Answers are the parsed Flags.
type Answers struct {
	// All is the answer to every claim of the export; empty if each has its own.
	All apisv1alpha2.AcceptablePermissionClaimState
	// Each are the answers to claims that users named.
	Each map[apisv1alpha2.GroupResource]apisv1alpha2.AcceptablePermissionClaimState
}

// Parse returns the answers, or why they contradict each other.
func (f Flags) Parse() (Answers, error) {
	answers := Answers{Each: map[apisv1alpha2.GroupResource]apisv1alpha2.AcceptablePermissionClaimState{}}
	switch {
	case f.AcceptAll && f.RejectAll:
		return Answers{}, errors.New("--accept-all-permission-claims and --reject-all-permission-claims are mutually exclusive")
	case f.AcceptAll && len(f.Accept)+len(f.Reject) > 0:
		return Answers{}, errors.New("--accept-all-permission-claims is mutually exclusive with --accept-permission-claim and --reject-permission-claim")
	case f.RejectAll && len(f.Accept)+len(f.Reject) > 0:
		return Answers{}, errors.New("--reject-all-permission-claims is mutually exclusive with --accept-permission-claim and --reject-permission-claim")
	case f.AcceptAll:
		answers.All = apisv1alpha2.ClaimAccepted
	case f.RejectAll:
		answers.All = apisv1alpha2.ClaimRejected
	}
	for _, list := range []struct {
		names []string
		state apisv1alpha2.AcceptablePermissionClaimState
	}{{f.Accept, apisv1alpha2.ClaimAccepted}, {f.Reject, apisv1alpha2.ClaimRejected}} {
		for _, name := range list.names {
			resource, err := ParseResource(name)
			if err != nil {
				return Answers{}, err
			}
			if state, answered := answers.Each[resource]; answered && state != list.state {
				return Answers{}, fmt.Errorf("permission claim %q is both accepted and rejected", name)
			}
			answers.Each[resource] = list.state
		}
	}
	return answers, nil
}

// For returns the entries of a binding for the claims of an export. If the export cannot be read, claimed is nil, and claims are known by
// name only: then a claim on an API of somebody else, which has an identity, is not answered.
func (a Answers) For(claimed []apisv1alpha2.PermissionClaim) []apisv1alpha2.AcceptablePermissionClaim {
	var out []apisv1alpha2.AcceptablePermissionClaim
	open := map[apisv1alpha2.GroupResource]bool{}
	for resource := range a.Each {
		open[resource] = true
	}
	for i := range claimed {
		state := a.All
		if state == "" {
			state = a.Each[claimed[i].GroupResource]
			delete(open, claimed[i].GroupResource)
		}
		if state != "" {
			out = append(out, entry(claimed[i], state))
		}
	}
	for resource := range open {
		out = append(out, entry(apisv1alpha2.PermissionClaim{GroupResource: resource}, a.Each[resource]))
	}
	slices.SortFunc(out, func(x, y apisv1alpha2.AcceptablePermissionClaim) int {
		return compare(claims.KeyOf(&x.PermissionClaim), claims.KeyOf(&y.PermissionClaim))
	})
	return out
}

// entry answers a claim for all objects and all verbs.
func entry(claim apisv1alpha2.PermissionClaim, state apisv1alpha2.AcceptablePermissionClaimState) apisv1alpha2.AcceptablePermissionClaim {
	answer := apisv1alpha2.AcceptablePermissionClaim{State: state}
	answer.GroupResource, answer.IdentityHash, answer.Verbs = claim.GroupResource, claim.IdentityHash, []string{"*"}
	answer.Selector = apisv1alpha2.PermissionClaimSelector{MatchAll: true}
	return answer
}

func compare(a, b claims.Key) int {
	switch x, y := a.String(), b.String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Which selects claims of an export. The zero value selects all.
type Which struct {
	Resource *apisv1alpha2.GroupResource
	Identity string
}

func (w Which) matches(claim *apisv1alpha2.PermissionClaim) bool {
	return (w.Resource == nil || *w.Resource == claim.GroupResource) && (w.Identity == "" || w.Identity == claim.IdentityHash)
}

// Set answers claims of the export in a binding: entries that are there change their state, missing ones are added. It returns the names
// of the claims, and an error if there is none.
func Set(binding *apisv1alpha2.APIBinding, which Which, state apisv1alpha2.AcceptablePermissionClaimState) ([]string, error) {
	var names []string
	for i := range binding.Status.ExportPermissionClaims {
		exported := &binding.Status.ExportPermissionClaims[i]
		if !which.matches(exported) {
			continue
		}
		key := claims.KeyOf(exported)
		names = append(names, key.String())
		if is := find(binding.Spec.PermissionClaims, key); is != nil {
			is.State = state
			continue
		}
		binding.Spec.PermissionClaims = append(binding.Spec.PermissionClaims, entry(*exported, state))
	}
	if len(binding.Status.ExportPermissionClaims) == 0 {
		return nil, fmt.Errorf("the APIExport of APIBinding %q has no permission claims", binding.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the APIExport of APIBinding %q has no such claim", binding.Name)
	}
	return names, nil
}
