package chart

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
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

// The server may do on the host what it does there, and nothing else: what is bound to it, and what those roles of the chart say.
func TestChart_LeastRights(t *testing.T) {
	const apiServices = release + "-apiservices"
	want := map[string]string{
		release + "-auth-delegator":        "system:auth-delegator",
		release + "-authentication-reader": "extension-apiserver-authentication-reader in kube-system",
		apiServices:                        apiServices,
	}
	for _, values := range []string{"default", "external-etcd"} {
		got := map[string]string{}
		for _, o := range decode(t, render(t, "--values", filepath.Join(chartDir, "ci", values+"-values.yaml"))) {
			switch typed := o.typed.(type) {
			case *rbacv1.ClusterRoleBinding:
				got[typed.Name] = typed.RoleRef.Name
			case *rbacv1.RoleBinding:
				got[typed.Name] = typed.RoleRef.Name + " in " + typed.Namespace
			case *rbacv1.Role:
				t.Errorf("%s: an unexpected Role %s", values, typed.Name)
			case *rbacv1.ClusterRole:
				if typed.Name != apiServices {
					continue // for users; the server is not bound to it
				}
				rules := []rbacv1.PolicyRule{{
					APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"},
					Verbs: []string{"get", "list", "watch", "create", "update", "delete"},
				}}
				if diff := cmp.Diff(rules, typed.Rules); diff != "" {
					t.Errorf("%s: rules of %s (-want +got):\n%s", values, typed.Name, diff)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: bindings (-want +got):\n%s", values, diff)
		}
	}
}

// Secrets of the host are for the server only where an operator says so.
func TestChart_SecretsWhereNamed(t *testing.T) {
	const secrets = release + "-secrets"
	for name, tc := range map[string]struct {
		set  []string
		want map[string]string
	}{
		"by default": {nil, map[string]string{}},
		"in two namespaces": {[]string{"--set", "workspaceAccess.enabled=true", "--set", "workspaceAccess.namespaces={argocd,flux-system}"},
			map[string]string{"argocd": secrets, "flux-system": secrets}},
		"everywhere":       {[]string{"--set", "workspaceAccess.enabled=true"}, map[string]string{"": secrets}},
		"without bindings": {[]string{"--set", "workspaceAccess.enabled=true", "--set", "rbac.create=false"}, map[string]string{}},
	} {
		got := map[string]string{}
		for _, o := range decode(t, render(t, tc.set...)) {
			switch typed := o.typed.(type) {
			case *rbacv1.ClusterRoleBinding:
				if typed.RoleRef.Name == secrets {
					got[""] = secrets
				}
			case *rbacv1.RoleBinding:
				if typed.RoleRef.Name == secrets {
					got[typed.Namespace] = secrets
				}
			case *rbacv1.ClusterRole:
				if typed.Name != secrets {
					continue
				}
				rules := []rbacv1.PolicyRule{
					{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "create", "update", "delete"}},
					{APIGroups: []string{""}, Resources: []string{"resourcequotas"}, Verbs: []string{"list"}},
					{APIGroups: []string{""}, Resources: []string{"resourcequotas/status"}, Verbs: []string{"update"}},
				}
				if diff := cmp.Diff(rules, typed.Rules); diff != "" {
					t.Errorf("%s: rules (-want +got):\n%s", name, diff)
				}
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: where the server may read Secrets (-want +got):\n%s", name, diff)
		}
	}
}
