package lifecycle

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

var secretsKey = claims.Key{Resource: "secrets"}

func asks(verbs ...string) apisv1alpha2.PermissionClaim {
	return apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: "secrets"}, Verbs: verbs}
}

func answers(state apisv1alpha2.AcceptablePermissionClaimState, label string, verbs ...string) apisv1alpha2.AcceptablePermissionClaim {
	answer := apisv1alpha2.AcceptablePermissionClaim{State: state}
	answer.PermissionClaim = asks(verbs...)
	answer.Selector.MatchLabels = map[string]string{"show": label}
	return answer
}

// claimIn returns an APIBinding with a claim in a state.
func claimIn(state ClaimState) *apisv1alpha2.APIBinding {
	b := in(Bound)
	accepted := []apisv1alpha2.AcceptablePermissionClaim{answers(apisv1alpha2.ClaimAccepted, "yes", "*")}
	if state != Unclaimed && state != Unknown {
		b.Status.ExportPermissionClaims = []apisv1alpha2.PermissionClaim{asks("get", "list")}
	}
	switch state {
	case Accepted, Applied, Unknown:
		b.Spec.PermissionClaims = accepted
	case Rejected:
		b.Spec.PermissionClaims = []apisv1alpha2.AcceptablePermissionClaim{answers(apisv1alpha2.ClaimRejected, "yes", "*")}
	}
	if state == Applied || state == Stale {
		b.Status.AppliedPermissionClaims = claims.Meet(b.Status.ExportPermissionClaims, accepted).Applied
	}
	return b
}

func TestCheckClaims(t *testing.T) {
	all := []ClaimState{Unclaimed, Open, Rejected, Accepted, Applied, Stale, Unknown}
	// As the table in the documentation of the package says it; rows are the states before. The status is the server's, and the spec the consumer's.
	server := map[ClaimState]string{
		Unclaimed: "yynnnnn", Open: "yynnnnn", Rejected: "ynynnnn", Accepted: "nnnyyny", Applied: "nnnyyny", Stale: "yynnnyn", Unknown: "nnnyyny",
	}
	consumer := map[ClaimState]string{
		Unclaimed: "ynnnnny", Open: "nyyynnn", Rejected: "nyyynnn", Accepted: "nyyynnn", Applied: "nnnnyyn", Stale: "nnnnyyn", Unknown: "ynnnnny",
	}
	for _, from := range all {
		if got := OfClaim(claimIn(from), secretsKey); got != from {
			t.Errorf("state %s is taken for %s", from, got)
		}
		for i, to := range all {
			byServer, byConsumer := claimIn(from), claimIn(from)
			byServer.Status, byConsumer.Spec = claimIn(to).Status, claimIn(to).Spec
			if OfClaim(byServer, secretsKey) == to {
				if err := CheckClaims(byServer, claimIn(from)); (err == nil) != (server[from][i] == 'y') {
					t.Errorf("the server leads from %s to %s: %v", from, to, err)
				}
			} else if server[from][i] == 'y' {
				t.Errorf("the status does not lead from %s to %s", from, to)
			}
			if OfClaim(byConsumer, secretsKey) == to && from != to {
				if err := CheckClaims(byConsumer, claimIn(from)); (err == nil) != (consumer[from][i] == 'y') {
					t.Errorf("the consumer leads from %s to %s: %v", from, to, err)
				}
			} else if from != to && consumer[from][i] == 'y' {
				t.Errorf("the spec does not lead from %s to %s", from, to)
			}
		}
	}
}

// What the status says to be applied is no wider than what is asked for and what is accepted.
func TestCheckClaims_NothingWider(t *testing.T) {
	for name, widen := range map[string]func(*apisv1alpha2.ScopedPermissionClaim){
		"a verb that is not asked for": func(c *apisv1alpha2.ScopedPermissionClaim) { c.Verbs = append(c.Verbs, "delete") },
		"all verbs":                    func(c *apisv1alpha2.ScopedPermissionClaim) { c.Verbs = []string{"*"} },
		"all objects": func(c *apisv1alpha2.ScopedPermissionClaim) {
			c.Selector = apisv1alpha2.PermissionClaimSelector{MatchAll: true}
		},
		"other objects":                 func(c *apisv1alpha2.ScopedPermissionClaim) { c.Selector.MatchLabels = map[string]string{"show": "no"} },
		"another claim":                 func(c *apisv1alpha2.ScopedPermissionClaim) { c.Resource = "configmaps" },
		"a claim with another identity": func(c *apisv1alpha2.ScopedPermissionClaim) { c.IdentityHash = "other" },
	} {
		wide := claimIn(Applied)
		widen(&wide.Status.AppliedPermissionClaims[0])
		if err := CheckClaims(wide, claimIn(Accepted)); err == nil {
			t.Errorf("%s is noted as applied", name)
		}
	}
	narrow := claimIn(Applied)
	narrow.Status.AppliedPermissionClaims[0].Verbs = []string{"get"}
	if err := CheckClaims(narrow, claimIn(Accepted)); err != nil {
		t.Errorf("less than what is accepted: %v", err)
	}
	// A write that is about something else leaves a claim Stale.
	if err := CheckClaims(claimIn(Stale), claimIn(Stale)); err != nil {
		t.Error(err)
	}
	other := claimIn(Stale)
	other.Status.ExportPermissionClaims = append(other.Status.ExportPermissionClaims, apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: "events"}})
	if err := CheckClaims(other, claimIn(Stale)); err == nil {
		t.Error("the server writes what it knows of claims, and leaves one of them Stale")
	}
}

// Whatever is asked for and answered, what the rules of claims come to is a step of the machine, and whatever is not, is refused.
func TestCheckClaims_RandomSteps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
	verbs := [][]string{{"*"}, {"get"}, {"get", "list"}, {"create"}}
	state := []apisv1alpha2.AcceptablePermissionClaimState{apisv1alpha2.ClaimAccepted, apisv1alpha2.ClaimRejected}
	for range 300 {
		b, exported := in(Bound), []apisv1alpha2.PermissionClaim(nil)
		for step := range 20 {
			next := b.DeepCopy()
			switch random.IntN(4) {
			case 0:
				if exported = nil; random.IntN(3) > 0 {
					exported = []apisv1alpha2.PermissionClaim{asks(verbs[random.IntN(len(verbs))]...)}
				}
			case 1:
				if next.Spec.PermissionClaims = nil; random.IntN(3) > 0 {
					label := []string{"yes", "no"}[random.IntN(2)]
					next.Spec.PermissionClaims = append(next.Spec.PermissionClaims, answers(state[random.IntN(2)], label, verbs[random.IntN(len(verbs))]...))
				}
			default:
				next.Status.ExportPermissionClaims = exported
				next.Status.AppliedPermissionClaims = claims.Meet(exported, next.Spec.PermissionClaims).Applied
				if is := OfClaim(next, secretsKey); is == Stale {
					t.Fatalf("seed %d, step %d: the rules leave a claim %s", seed, step, is)
				}
			}
			if err := CheckClaims(next, b); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			b = next
		}
	}
}
