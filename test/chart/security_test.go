package chart

import (
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Pods are allowed where a namespace enforces the restricted profile, by the code with which the API server decides that.
func TestChart_PodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	eachValues(t, func(t *testing.T, file, _ string) {
		found := pods(decode(t, render(t, "--values", file)))
		if len(found) == 0 {
			t.Fatal("no pods")
		}
		for _, p := range found {
			if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &p.meta, &p.spec)); !result.Allowed {
				t.Errorf("%s %s: %s", p.owner, p.meta.Name, result.ForbiddenDetail())
			}
			for _, container := range p.spec.Containers {
				if readOnly := container.SecurityContext.ReadOnlyRootFilesystem; readOnly == nil || !*readOnly {
					t.Errorf("%s %s: container %s may write to its root file system", p.owner, p.meta.Name, container.Name)
				}
			}
		}
	})
	// The test can fail.
	for _, p := range pods(decode(t, render(t, "--set", "podSecurityContext.runAsNonRoot=false"))) {
		if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &p.meta, &p.spec)).Allowed {
			t.Errorf("%s: a pod that may run as root is restricted", p.owner)
		}
	}
}
