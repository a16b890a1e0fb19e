package chart

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

const (
	syncChart     = "../../charts/annex-sync"
	syncConfig    = "../../examples/sync/sync.yaml"
	syncRelease   = "annex-sync"
	syncNamespace = "annex-sync"
)

// syncArgs are the ways in which the chart of annex sync is tested.
var syncArgs = map[string][]string{
	"host":       {"--set-file", "configuration=" + syncConfig},
	"kubeconfig": {"--values", filepath.Join(syncChart, "ci", "kubeconfig-values.yaml")},
}

func renderSync(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := helm(t, append([]string{"template", syncRelease, syncChart, "--namespace", syncNamespace}, args...)...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

func eachSync(t *testing.T, test func(t *testing.T, name, rendered string)) {
	t.Helper()
	for way, args := range syncArgs {
		for _, part := range []string{"service", "workspace"} {
			name := way + "-" + part
			t.Run(name, func(t *testing.T) { test(t, name, renderSync(t, append(slices.Clone(args), "--set", "part="+part)...)) })
		}
	}
}

func TestSyncChart_Golden(t *testing.T) {
	for name, args := range syncArgs {
		if out, stderr, err := helm(t, append([]string{"lint", "--strict", syncChart}, args...)...); err != nil {
			t.Errorf("%s: %v\n%s%s", name, err, out, stderr)
		}
	}
	eachSync(t, func(t *testing.T, name, got string) {
		golden := filepath.Join("testdata", "golden", "sync", name+".yaml")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs from what is rendered; `go test ./test/chart -update` writes it anew: -want +got\n%s", golden, diff)
		}
	})
}

// Objects decode strictly, pods are restricted, the flags exist, and the file that the agent reads is a configuration without a fault.
func TestSyncChart_ObjectsAreValid(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	eachSync(t, func(t *testing.T, name, rendered string) {
		objects := decode(t, rendered)
		for _, o := range objects {
			if inNamespace := o.GetNamespace() == syncNamespace; inNamespace == slices.Contains(clusterScoped, o.GetKind()) || o.GetLabels()["app.kubernetes.io/instance"] != syncRelease {
				t.Errorf("%s %s: namespace %q, labels %v", o.GetKind(), o.GetName(), o.GetNamespace(), o.GetLabels())
			}
			if file, ok := o.typed.(*corev1.ConfigMap); ok {
				path := filepath.Join(t.TempDir(), "sync.yaml")
				if err := os.WriteFile(path, []byte(file.Data["sync.yaml"]), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := config.Load(path); err != nil {
					t.Error(err)
				}
			}
		}
		found := pods(objects)
		if want := strings.HasSuffix(name, "-service"); (len(found) == 1) != want {
			t.Fatalf("%d pods", len(found))
		}
		for _, p := range found {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &p.meta, &p.spec))
			if !result.Allowed {
				t.Error(result.ForbiddenDetail())
			}
			parse(t, p.spec.Containers[0].Args)
		}
	})
	// The configuration is given to the agent as it was written, comments and all.
	written, err := os.ReadFile(syncConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range decode(t, renderSync(t, syncArgs["host"]...)) {
		if file, ok := o.typed.(*corev1.ConfigMap); ok && !bytes.Equal(bytes.TrimSpace([]byte(file.Data["sync.yaml"])), bytes.TrimSpace(written)) {
			t.Errorf("the ConfigMap has\n%s", file.Data["sync.yaml"])
		}
	}
}

// The agent may do in the service cluster what its configuration needs: nothing to other resources, to other workspaces, or to ConfigMaps that it only
// reads. That it is enough is for test/e2e/sync.
func TestSyncChart_LeastRights(t *testing.T) {
	rules := map[string][]string{}
	for _, o := range decode(t, renderSync(t, syncArgs["host"]...)) {
		role, ok := o.typed.(*rbacv1.ClusterRole)
		if !ok {
			continue
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				key := strings.Join(append([]string{resource + "." + rule.APIGroups[0]}, rule.ResourceNames...), " ")
				rules[key] = append(rules[key], rule.Verbs...)
			}
		}
	}
	all := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	through := []string{"get", "create", "update", "patch", "delete"}
	want := map[string][]string{
		"customresourcedefinitions.apiextensions.k8s.io": {"get", "list", "watch"},
		"namespaces.":                   {"get", "list", "watch", "create", "delete"},
		"issuers.cert-manager.io":       all,
		"certificates.cert-manager.io":  all,
		"bundles.trust.cert-manager.io": all,
		"secrets.":                      {"get", "list", "watch", "create", "update", "delete"},
		"configmaps.":                   {"get", "list", "watch"},
		"workspaces/proxy.tenancy.kcp.io root:certificates":           through,
		"apiexports/proxy.apis.kcp.io root:certificates:certificates": through,
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rights in the service cluster: -want +got\n%s", diff)
	}
}

func TestSyncChart_Faults(t *testing.T) {
	const valid = "apiVersion: annex.dev/v1alpha1\nkind: SyncConfiguration\nexport: a\nworkspace: {path: \"root:a\"}\nresources: [{group: example.com, resource: widgets}]\n"
	for name, test := range map[string]struct {
		configuration string
		args          []string
		want          string
	}{
		"nothing":              {"", nil, "configuration is required"},
		"no YAML":              {"a: [", nil, "configuration: "},
		"another kind":         {strings.Replace(valid, "SyncConfiguration", "Sync", 1), nil, "is not a SyncConfiguration"},
		"no export":            {strings.Replace(valid, "export: a\n", "", 1), nil, "export is required"},
		"no resources":         {strings.Split(valid, "resources")[0], nil, "resources is required"},
		"half a resource":      {strings.Replace(valid, ", resource: widgets", "", 1), nil, "resources[0]: group and resource are required"},
		"other related":        {strings.Replace(valid, "widgets}", "widgets, related: [{id: a, resource: pods, origin: Service}]}", 1), nil, "resources[0].related[0].resource: must be secrets or configmaps"},
		"an origin":            {strings.Replace(valid, "widgets}", "widgets, related: [{id: a, resource: secrets, origin: Host}]}", 1), nil, "resources[0].related[0].origin: must be Service or Workspace"},
		"another service":      {valid + "service: {kubeconfig: /a}\n", nil, "runs the agent in the service cluster"},
		"no way":               {strings.Replace(valid, "path: \"root:a\"", "", 1), nil, "workspaceSecret: required"},
		"another file":         {strings.Replace(valid, "path: \"root:a\"", "kubeconfig: /a", 1), []string{"--set", "workspaceSecret=a"}, "must be /etc/annex-sync/workspace/kubeconfig"},
		"two ways":             {valid, []string{"--set", "workspaceSecret=a"}, "workspaceSecret: the configuration reaches the workspace through"},
		"a part":               {valid, []string{"--set", "part=both"}, "part"},
		"a value that is none": {valid, []string{"--set", "replica=1"}, "replica"},
	} {
		file := filepath.Join(t.TempDir(), "sync.yaml")
		if err := os.WriteFile(file, []byte(test.configuration), 0o600); err != nil {
			t.Fatal(err)
		}
		out, stderr, err := helm(t, append([]string{"template", syncRelease, syncChart, "--set-file", "configuration=" + file}, test.args...)...)
		if err == nil || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: %v, %q, want %q\n%s", name, err, stderr, test.want, out)
		}
	}
}
